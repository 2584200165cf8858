# ruff: noqa: S108  (/dev/shm is what is looked at here)
"""Shared memory."""

from __future__ import annotations

import os
from pathlib import Path

from envcheck.facts import Memory
from envcheck.probes.paths import below


def probe_memory(root: Path) -> Memory:
    """Size and free bytes of the shared-memory file system."""
    try:
        status = os.statvfs(below(root, "/dev/shm"))
    except OSError as error:
        return Memory(error=str(error))
    return Memory(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)
