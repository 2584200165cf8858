"""Whose process on this machine a pid is, and in which container it runs: from /proc, without asking the engine."""

from __future__ import annotations

import pwd
import re
from dataclasses import dataclass
from pathlib import Path

# Docker and Podman put the container's id into the names of its control groups, on both versions of those:
# docker-ID.scope, /docker/ID, libpod-ID.scope.
CONTAINER_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Origin:
    """`owner` is a user's name, or the uid where it has none; `container` an engine's id. None: cannot be seen."""

    owner: str | None = None
    container: str | None = None


def origin_of(pid: int, proc: Path = Path("/proc")) -> Origin:
    """Never raises: a process may end at any moment, and a hardened /proc hides those of others."""
    try:
        owner = user_name((proc / str(pid)).stat().st_uid)
    except OSError:
        return Origin()
    try:
        found = CONTAINER_ID.search((proc / str(pid) / "cgroup").read_text())
    except OSError:
        found = None
    return Origin(owner, found.group() if found else None)


def user_name(uid: int) -> str:
    """The name that the password database has for `uid`, else the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
