# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""The proofs on one GPU. Arguments: its index and UUID, the level, how many GPUs work at once, then the stages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from envcheck.gputests.levels import LEVELS, Level
from envcheck.gputests.programs.compile import compiled
from envcheck.gputests.programs.convolution import convolution
from envcheck.gputests.programs.device import Cuda
from envcheck.gputests.programs.harness import die_with_parent, import_torch, run_stage
from envcheck.gputests.programs.load import sustained
from envcheck.gputests.programs.matmul import matmul
from envcheck.gputests.programs.memory import memory
from envcheck.gputests.programs.nms import nms
from envcheck.gputests.programs.sampler import Sampler
from envcheck.probes.children.emitter import Emitter

Proofs = dict[str, Callable[[], dict[str, Any]]]


def main() -> None:
    """Stage `import`, then `device`, then the stages asked for up to the first that raises."""
    die_with_parent()
    index, uuid, level, together = int(sys.argv[1]), sys.argv[2], LEVELS[sys.argv[3]], int(sys.argv[4])
    emitter = Emitter()
    torch = import_torch(emitter)
    if torch is not None:
        # Every GPU's program computes its references on the same processors.
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // together))
        run(emitter, torch, Cuda(torch), index, proofs(torch, Cuda(torch), index, uuid, level), sys.argv[5:])
    # Everything is reported; taking PyTorch down in order takes up to a second more.
    os._exit(0)


def run(emitter: Emitter, torch: Any, cuda: Any, index: int, available: Proofs, names: list[str]) -> None:
    """Reach the GPU, then run the named proofs."""
    if not run_stage(emitter, "device", lambda: reach(torch, cuda, index)):
        return
    for name in names:
        if not run_stage(emitter, name, available[name]):
            return


def reach(torch: Any, cuda: Any, index: int) -> dict[str, Any]:
    """One sum on the GPU. Raises what PyTorch raises, or RuntimeError where the sum is wrong."""
    cuda.use(index)
    total = float(torch.ones(1000, device=cuda.device(index)).sum())
    if total != 1000:
        raise RuntimeError(f"the sum of 1000 ones is {total}")
    return dict(cuda.describe(index))


def proofs(torch: Any, cuda: Any, index: int, uuid: str, level: Level) -> Proofs:
    """Every proof of one GPU by its stage."""

    def product(precision: str) -> Callable[[], dict[str, Any]]:
        return lambda: matmul(torch, cuda, index, precision, order=level.order, timed=level.timed)

    return {
        "matmul": product("fp32"),
        "matmul-tf32": product("tf32"),
        "matmul-bf16": product("bf16"),
        "convolution": lambda: convolution(torch, cuda, index),
        "nms": lambda: nms(torch, cuda, index),
        "compile": lambda: compiled(torch, cuda, index),
        "memory": lambda: memory(torch, cuda, index),
        "load": lambda: sustained(torch, cuda, index, Sampler(uuid), order=level.order, seconds=level.load),
    }
