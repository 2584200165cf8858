# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Takes nearly all free memory of a GPU, writes two patterns to it, reads them back, and gives it back."""

from __future__ import annotations

from typing import Any

from envcheck.gputests.programs.harness import NotApplicable

# Left free: what comparing needs, and room for the driver's own small allocations.
RESERVE = 512 << 20
RESERVE_SHARE = 0.03
# Above this share in use by others, taking the rest could make their next allocation fail.
OTHERS_SHARE = 0.25
CHUNK = 1 << 26  # numbers compared at a time: 256 MiB
# Alternating bits, and the same the other way round: every bit is written as 0 and as 1.
PATTERNS = (0x55555555, -0x55555556)


def memory(torch: Any, cuda: Any, index: int) -> dict[str, Any]:
    """Bytes taken, and numbers that were read back wrong. Raises NotApplicable where taking them could harm."""
    if cuda.describe(index)["integrated"]:
        raise NotApplicable("this GPU shares the system's memory, and taking all of it would stop other programs")
    cuda.release()
    free, total = cuda.memory(index)
    if free < (1 - OTHERS_SHARE) * total:
        used = f"{(total - free) / 2**30:.1f} of {total / 2**30:.1f} GiB"
        raise NotApplicable(f"{used} are in use; taking the rest could stop other programs")
    size = free - max(RESERVE, int(RESERVE_SHARE * total))
    if size <= 0:
        raise NotApplicable("this GPU has less memory than is left free here")
    taken = torch.empty(size // 4, dtype=torch.int32, device=cuda.device(index))
    wrong = sum(_wrong(taken, pattern) for pattern in PATTERNS)
    del taken
    cuda.release()
    return {"bytes": size // 4 * 4, "free": free, "total": total, "wrong": wrong, "free_after": cuda.memory(index)[0]}


def _wrong(taken: Any, pattern: int) -> int:
    taken.fill_(pattern)
    return sum(int((part != pattern).sum()) for part in taken.split(CHUNK))
