"""What several processes share, and what may limit them: memory and network interfaces."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memory:
    """Shared memory (/dev/shm), and what a process may lock (RLIMIT_MEMLOCK, -1: without limit). Bytes."""

    shm_total: int | None = None
    shm_free: int | None = None
    error: str | None = None
    lockable: int | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """Names only: the network interfaces, and the InfiniBand or RoCE devices (/sys/class/infiniband)."""

    interfaces: tuple[str, ...] = ()
    infiniband: tuple[str, ...] = ()
