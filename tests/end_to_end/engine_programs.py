"""A newer engine beside the machine's own: Debian's packages of it, unpacked into a cache and not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.services import UnavailableError

PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "docker-compose", "containerd")
# The suite with an engine >= 28, whose programs need only glibc 2.34: they run on Debian 12 beside its own runc.
SUITE = "sid"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def engine_programs(cache: Path) -> Path:
    """The directory with `usr/bin` and `usr/sbin` of the engine, unpacked on first use (85 MB are downloaded).

    Raises UnavailableError.
    """
    programs = unpacked(cache, SUITE, PACKAGES)
    _run([str(programs / "usr/sbin/dockerd"), "--version"], cache)
    return programs


def unpacked(cache: Path, suite: str, packages: Sequence[str]) -> Path:
    """The directory `programs` in `cache` with these packages of a Debian suite, downloaded on first use.

    Raises UnavailableError.
    """
    programs = cache / "programs"
    if not programs.is_dir():
        unpacking = cache / "programs.unpacking"
        shutil.rmtree(unpacking, ignore_errors=True)
        unpacking.mkdir(parents=True)
        for package in _download(cache / "packages", suite, packages):
            _run(["dpkg", "-x", str(package), str(unpacking)], cache)
        unpacking.rename(programs)
    return programs


def debian_mirror() -> str:
    """The mirror that apt is configured with for Debian itself. Raises UnavailableError where it names none."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(RELEASE) $(REPO_URI)"], capture_output=True, text=True
    )
    for line in listed.stdout.splitlines():
        origin, *release, uri = line.split()
        if origin == "Debian" and not any("security" in word for word in release):
            return uri.rstrip("/")
    raise UnavailableError("apt has no lists of Debian's own packages here")


def _download(directory: Path, suite: str, packages: Sequence[str]) -> list[Path]:
    """apt with lists and cache of its own: the machine's package state stays as it is."""
    shutil.rmtree(directory, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial", "debs"):
        (directory / part).mkdir(parents=True)
    sources = directory / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {debian_mirror()} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": directory / "lists",
        "Dir::Cache": directory / "cache",
        # apt's own user may not enter a cache below root's home.
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    _run([*apt, "update"], directory)
    _run([*apt, "download", *packages], directory / "debs")
    return sorted((directory / "debs").glob("*.deb"))


def _run(command: list[str], cwd: Path) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True)
    except OSError as error:
        raise UnavailableError(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()[-1]
        raise UnavailableError(f"{' '.join(command[:1] + command[-2:])}: {reason}")
