# ruff: noqa: S108  (/dev/shm is what is judged here)
"""Shared memory, and memory that may be locked for InfiniBand."""

from __future__ import annotations

from envcheck.checks.answer import ok, skip, warn
from envcheck.facts import Facts
from envcheck.finding import Finding

UNLIMITED = -1
LOCKABLE = 64 << 20  # NCCL registers some MiB a connection; systems for InfiniBand set no limit at all.
HOST_FIX = ("sudo mount -o remount,size=8G /dev/shm   # until the next start; a share of memory, not set aside",)
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
        fix = None if facts.container.inside else HOST_FIX
        return warn(check, "shm-too-small", f"/dev/shm has only {size}", evidence, fix)
    return ok(check, f"/dev/shm has {size}", evidence)


def locked_memory(facts: Facts) -> Finding:
    """What it checks: on a machine with InfiniBand or RoCE, that a process may lock at least 64 MiB of memory.
    Why it matters: NCCL registers its buffers with the network card and stops with "Call to ibv_reg_mr failed".
    How to fix: start the container with --ulimit memlock=-1; on a host set memlock in /etc/security/limits.conf.
    Reference: https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html
    """
    check, limit = "locked-memory", facts.memory.lockable
    if not facts.network.infiniband:
        return skip(check, "no InfiniBand or RoCE device")
    if limit is None:
        return skip(check, "not recorded")
    if limit == UNLIMITED or limit >= LOCKABLE:
        return ok(check, f"memory may be locked ({'without limit' if limit == UNLIMITED else _text(limit)})")
    fix = (
        "container: --ulimit memlock=-1   # compose: ulimits: memlock: -1",
        "host: echo '* - memlock unlimited' | sudo tee /etc/security/limits.d/memlock.conf, then log in again",
    )
    evidence = [f"RLIMIT_MEMLOCK: {_text(limit)}", f"devices: {', '.join(facts.network.infiniband)}"]
    reference = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html"
    return warn(check, None, f"a process may lock only {_text(limit)} of memory", evidence, fix, reference)


def _text(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= ENOUGH else f"{size / 2**20:.0f} MiB"
