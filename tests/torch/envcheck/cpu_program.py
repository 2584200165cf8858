"""gputests' programs with a CPU for every GPU, started as envcheck starts them: python -m ... PROGRAM STAGE...

Beside the proofs there are stages that behave as a broken GPU does: `abort`, `hang`, `raise`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from envcheck.gputests.levels import Level
from envcheck.gputests.programs import collective, one_gpu, transfers
from envcheck.gputests.programs.harness import die_with_parent, import_torch, run_stage
from envcheck.probes.children.emitter import Emitter
from tests.torch.envcheck.cpu import Cpu

LEVEL = Level(order=128, timed=0.01, copied=1 << 16, peer_copied=1 << 16, reduced=1 << 16, load=0.2)


class Absent(Cpu):
    """A node whose second rank cannot use its GPU."""

    def use(self, index: int) -> None:
        if index == 1:
            raise RuntimeError("CUDA error: invalid device ordinal")


class Aborting(Cpu):
    """A node whose second rank aborts."""

    def use(self, index: int) -> None:
        if index == 1:
            os.abort()


RANKS: dict[str, tuple[type[Cpu], int]] = {
    "one": (Cpu, 1),
    "two": (Cpu, 2),
    "absent": (Absent, 3),
    "aborting": (Aborting, 2),
}


def main() -> None:
    die_with_parent()
    emitter = Emitter()
    torch, (program, *stages) = import_torch(emitter), sys.argv[1:]
    if program == "one_gpu":
        broken: dict[str, Callable[[], Any]] = {"abort": os.abort, "hang": signal.pause, "raise": lambda: 1 / 0}
        available = {**one_gpu.proofs(torch, Cpu(torch), 0, "GPU-0", LEVEL), **broken}
        one_gpu.run(emitter, torch, Cpu(torch), 0, available, stages)
    elif program == "transfers":
        transfers.run(emitter, torch, Cpu(torch), LEVEL, stages)
    else:
        kind, ranks = RANKS[stages[0]]
        run_stage(emitter, "all-reduce", lambda: collective.all_reduce(torch, kind(torch), ranks, LEVEL.reduced))
    os._exit(0)


if __name__ == "__main__":
    main()
