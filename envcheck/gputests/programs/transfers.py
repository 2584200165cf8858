# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Copies between the host and every GPU, and between every two GPUs, one at a time so that none slows another.

Arguments: the level, then the stages: `copy 0`, `peer 0 1`. What arrives must be equal to what was sent.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

from envcheck.gputests.levels import LEVELS, Level
from envcheck.gputests.programs.device import Cuda
from envcheck.gputests.programs.harness import die_with_parent, import_torch, run_stage
from envcheck.probes.children.emitter import Emitter

REPEATS = 5


def main() -> None:
    """Stage `import`, then the stages asked for up to the first that raises."""
    die_with_parent()
    level, names = LEVELS[sys.argv[1]], sys.argv[2:]
    emitter = Emitter()
    torch = import_torch(emitter)
    if torch is not None:
        run(emitter, torch, Cuda(torch), level, names)
    os._exit(0)


def run(emitter: Emitter, torch: Any, cuda: Any, level: Level, names: list[str]) -> None:
    """Run the named stages."""
    for name in names:
        if not run_stage(emitter, name, partial(_stage, torch, cuda, level, name)):
            return


def _stage(torch: Any, cuda: Any, level: Level, name: str) -> dict[str, Any]:
    kind, *indexes = name.split()
    if kind == "copy":
        return host_copies(torch, cuda, int(indexes[0]), level.copied)
    return peer_copy(torch, cuda, int(indexes[0]), int(indexes[1]), level.peer_copied)


def host_copies(torch: Any, cuda: Any, index: int, size: int) -> dict[str, Any]:
    """Pinned memory to the GPU, changed there, and back. Bandwidths in GB/s (10^9 bytes)."""
    cuda.use(index)
    count = size // 4
    source, back = cuda.pinned(count), cuda.pinned(count)
    source.copy_(_pattern(torch, count, index))
    there = torch.empty(count, dtype=torch.int32, device=cuda.device(index))
    to_device = cuda.seconds(lambda: cuda.copy(there, source), REPEATS, index)
    there.add_(1)
    to_host = cuda.seconds(lambda: cuda.copy(back, there), REPEATS, index)
    return {
        "bytes": count * 4,
        "to_device": count * 4 / to_device / 1e9,
        "to_host": count * 4 / to_host / 1e9,
        "wrong": int((back != source + 1).sum()),
    }


def peer_copy(torch: Any, cuda: Any, source: int, target: int, size: int) -> dict[str, Any]:
    """From GPU to GPU. `direct` is False where the topology does not permit it and the data goes through the host."""
    cuda.use(source)
    count = size // 4
    given = _pattern(torch, count, source).to(cuda.device(source))
    taken = torch.zeros(count, dtype=torch.int32, device=cuda.device(target))
    direct = cuda.can_access(source, target)
    seconds = cuda.seconds(lambda: cuda.copy(taken, given), REPEATS, source, target)
    # Both sides are read through the host: a faulty path between the two cannot hide itself.
    wrong = int((taken.cpu() != _pattern(torch, count, source)).sum())
    return {"bytes": count * 4, "direct": direct, "rate": count * 4 / seconds / 1e9, "wrong": wrong}


def _pattern(torch: Any, count: int, index: int) -> Any:
    """Different at every place and for every GPU."""
    return torch.arange(count, dtype=torch.int32) * 3 + index
