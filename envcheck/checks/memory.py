# ruff: noqa: S108  (/dev/shm is what is judged here)
"""Shared memory."""

from __future__ import annotations

from envcheck.checks.answer import ok, skip, warn
from envcheck.facts import Facts
from envcheck.finding import Finding

ENOUGH = 1 << 30  # Docker gives 64 MiB; a few DataLoader workers or NCCL ranks need more than that.


def shared_memory(facts: Facts) -> Finding:
    """What it checks: that /dev/shm holds at least 1 GiB.
    Why it matters: DataLoader workers and NCCL pass data through it and die by a bus error when it is full.
    How to fix: start the container with --shm-size=8g or --ipc=host.
    Reference: https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html#shared-memory
    """
    check, memory = "shared-memory", facts.memory
    if memory.shm_total is None:
        return skip(check, f"/dev/shm cannot be looked at: {memory.error or 'no reason'}")
    size = _text(memory.shm_total)
    evidence = [f"/dev/shm: {size}, {_text(memory.shm_free or 0)} free"]
    if memory.shm_total < ENOUGH:
        return warn(check, "shm-too-small", f"/dev/shm has only {size}", evidence)
    return ok(check, f"/dev/shm has {size}", evidence)


def _text(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= ENOUGH else f"{size / 2**20:.0f} MiB"
