"""What the launcher needs to know of the machine and of the person who calls it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose files the container works on: uid, gid and supplementary gids on the host."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: Path

    @property
    def is_root(self) -> bool:
        """True when even the project belongs to root, so that no other uid can be taken."""
        return self.uid == 0


def home_directory(environ: Mapping[str, str]) -> Path:
    """$HOME, else the password database's, else /nonexistent (never the file system's root)."""
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/nonexistent")


def identify_caller(project: Path, environ: Mapping[str, str]) -> Caller:
    """The uid and gid the container runs as.

    Root stands for whoever called sudo, else for the project directory's owner: files made in the
    container must belong to the person who will look for them.
    """
    home = home_directory(environ)
    if os.getuid() != 0:
        return Caller(os.getuid(), os.getgid(), tuple(sorted(set(os.getgroups()) - {os.getgid()})), home)
    if (
        environ.get("SUDO_UID", "").isdecimal()
        and environ.get("SUDO_GID", "").isdecimal()
        and environ["SUDO_UID"] != "0"
    ):
        uid, gid = int(environ["SUDO_UID"]), int(environ["SUDO_GID"])
        return Caller(uid, gid, _groups_of(uid, gid), home)
    owner = project.stat() if project.exists() else project.parent.stat()
    if owner.st_uid == 0:
        return Caller(0, 0, (), home)
    return Caller(owner.st_uid, owner.st_gid, _groups_of(owner.st_uid, owner.st_gid), home)


def _groups_of(uid: int, gid: int) -> tuple[int, ...]:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return ()
    # Never root's own group for somebody else: it would reach files the caller cannot.
    return tuple(sorted(set(os.getgrouplist(name, gid)) - {gid, 0}))


def owner_uid(environ: Mapping[str, str]) -> int:
    """The uid that environments are labelled with: the person at the keyboard, also under sudo."""
    if os.getuid() == 0 and environ.get("SUDO_UID", "").isdecimal():
        return int(environ["SUDO_UID"])
    return os.getuid()


def memory_bytes() -> int:
    """Physical memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def route_mtu(root: Path = Path("/")) -> int | None:
    """MTU of the interface with the default route, None when there is none.

    A bridge with a larger MTU than the uplink stalls downloads on many cloud and VPN networks:
    https://github.com/moby/moby/issues/4378
    """
    try:
        routes = (root / "proc/net/route").read_text().splitlines()[1:]
        for fields in (line.split() for line in routes):
            if fields[1] == "00000000":
                return int((root / "sys/class/net" / fields[0] / "mtu").read_text())
    except (OSError, ValueError, IndexError):
        return None
    return None
