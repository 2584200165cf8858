# ruff: noqa: S108  (/dev/shm is what is looked at here)
"""Shared memory, and how much memory a process may lock."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from envcheck.facts import Memory
from envcheck.probes.paths import below


def probe_memory(root: Path) -> Memory:
    """Size and free bytes of the shared-memory file system; the limit of locked memory is this process's."""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    lockable = -1 if limit == resource.RLIM_INFINITY else limit
    try:
        status = os.statvfs(below(root, "/dev/shm"))
    except OSError as error:
        return Memory(error=str(error), lockable=lockable)
    return Memory(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize, lockable=lockable)
