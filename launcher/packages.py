"""A project's own Debian and Python packages: checked, and written in one way. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from launcher.errors import UsageError
from launcher.stacks import Stack

# Debian policy 5.6.1 and 5.6.12. apt-get takes a trailing "-" as an order to remove the package.
APT = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+](?::[a-z0-9-]*[a-z0-9])?(?:=[0-9][A-Za-z0-9.+:~-]*)?")
# The name, the extras and the versions of https://packaging.python.org/en/latest/specifications/dependency-specifiers/
IDENTIFIER = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
SPECIFIER = r"(?:~=|==|!=|<=|>=|<|>)\s*[0-9][A-Za-z0-9.!+_-]*(?:\.\*)?"
PIP = re.compile(
    rf"(?P<name>{IDENTIFIER})\s*(?:\[(?P<extras>\s*{IDENTIFIER}\s*(?:,\s*{IDENTIFIER}\s*)*)\])?"
    rf"\s*(?P<versions>{SPECIFIER}(?:\s*,\s*{SPECIFIER})*)?",
)
PINNED = ("torch", "torchvision", "torchaudio", "triton")


@dataclass(frozen=True, slots=True)
class Packages:
    """What a project adds to the image: sorted, each once. False when there is nothing."""

    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.apt or self.pip)

    @property
    def text(self) -> str:
        """The lists as one line of JSON, the same for the same packages."""
        return json.dumps({"apt": self.apt, "pip": self.pip})

    def digest(self, *recipe: bytes) -> str:
        """Hex SHA-256 over the lists and the files that install them."""
        digest = hashlib.sha256(self.text.encode())
        for part in recipe:
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()


def checked_packages(apt: Iterable[str], pip: Iterable[str], stack: Stack) -> Packages:
    """Read both lists; raises UsageError with the first entry that is no package, or that would change `stack`."""
    found = Packages(_distinct(apt), tuple(sorted({requirement(entry) for entry in pip})))
    for entry in found.pip:
        _refuse_other_version(entry, stack)
    return found


def debian_package(entry: str, where: str = "apt entry") -> str:
    """NAME[:ARCHITECTURE][=VERSION]; raises UsageError, beginning with `where`, for anything else."""
    text = entry.strip()
    if not APT.fullmatch(text):
        raise UsageError(f"{where} {entry!r} is not the name of a Debian package", "Example: ffmpeg, or ffmpeg=7:5.1")
    return text


def requirement(entry: str, where: str = "pip entry") -> str:
    """NAME[EXTRAS]VERSIONS in its one spelling; raises UsageError, beginning with `where`, for anything else."""
    match = PIP.fullmatch(entry.strip())
    if match is None:
        raise UsageError(
            f"{where} {entry!r} is not a Python requirement",
            "Example: einops>=0.8 or timm[extra]==1.0 (options, files, addresses and markers are not taken)",
        )
    extras = sorted({normal_name(extra) for extra in (match["extras"] or "").split(",") if extra.strip()})
    versions = sorted({re.sub(r"\s", "", version) for version in (match["versions"] or "").split(",") if version})
    return normal_name(match["name"]) + (f"[{','.join(extras)}]" if extras else "") + ",".join(versions)


def package_name(entry: str) -> str:
    """By what two checked entries of one list are the same package."""
    return re.split(r"[\[:=<>!~]", entry, maxsplit=1)[0]


def normal_name(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _distinct(entries: Iterable[str]) -> tuple[str, ...]:
    seen: dict[str, str] = {}
    for entry in (debian_package(entry) for entry in entries):
        name = entry.partition("=")[0]
        if seen.setdefault(name, entry) != entry:
            raise UsageError(f"apt names {name} twice: {seen[name]} and {entry}", "Keep one of them.")
    return tuple(sorted(seen.values()))


def _refuse_other_version(entry: str, stack: Stack) -> None:
    """Only what is plain without an index; pip refuses the rest, as it installs under the image's constraints."""
    name, _, version = entry.partition("==")
    if name not in PINNED or "," in version or not version:
        return
    own = getattr(stack, name)
    wanted = version.partition("+")[0]
    same = own.startswith(wanted[:-1]) if wanted.endswith(".*") else _release(wanted) == _release(own)
    if not same:
        raise UsageError(
            f"pip entry {entry} would replace the image's {name} {own}, which belongs to its CUDA libraries",
            f"Take it out of the list: {name} is in the image. Other versions are other stacks: --stack",
        )


def _release(version: str) -> str:
    return re.sub(r"(\.0)+$", "", version)
