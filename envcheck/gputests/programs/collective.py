# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""A sum over all GPUs, one process each. Arguments: how many GPUs, the level.

Every rank adds whole numbers that stay below 2^24, so the sum is exact and every element is compared for equality.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from envcheck.gputests.levels import LEVELS
from envcheck.gputests.programs.device import Cuda
from envcheck.gputests.programs.harness import NotApplicable, die_with_parent, import_torch, run_stage
from envcheck.probes.children.emitter import Emitter

STAGE = "all-reduce"
REPEATS = 10
VALUES = 7
# The first use of eight cards without persistence mode takes long.
TIMEOUT = timedelta(seconds=60)
GRACE = 5.0  # seconds the other ranks get to end by themselves after one has failed


def main() -> None:
    """Stages `import` and `all-reduce`."""
    die_with_parent()
    ranks, level = int(sys.argv[1]), LEVELS[sys.argv[2]]
    emitter = Emitter()
    torch = import_torch(emitter)
    if torch is not None:
        run_stage(emitter, STAGE, lambda: all_reduce(torch, Cuda(torch), ranks, level.reduced))
    os._exit(0)


def all_reduce(torch: Any, cuda: Any, ranks: int, size: int) -> dict[str, Any]:
    """Fork the ranks, which have paid for the import already; CUDA is untouched before. Raises a rank's error."""
    if not getattr(torch.distributed, f"is_{cuda.backend}_available")():
        raise NotApplicable(f"this PyTorch is built without {cuda.backend.upper()}")
    with tempfile.TemporaryDirectory(prefix="envcheck-") as directory:
        processes = {}
        for rank in range(ranks):
            process = os.fork()
            if process == 0:
                _be_rank(torch, cuda, Path(directory), rank, ranks, size)
            processes[process] = rank
        # In the order in which the ranks ended: the first one without a word took the others with it.
        reports = [_read(Path(directory), rank, status) for rank, status in _wait(processes).items()]
    errors = [report for report in reports if "error" in report]
    if errors:
        # What a rank says itself tells more than how another one ended.
        raise RuntimeError(next((report for report in errors if "status" not in report), errors[0])["error"])
    seconds = max(report["seconds"] for report in reports)
    rate = size / seconds / 1e9
    # What the links carry: https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md#bus-bandwidth
    bus = rate * 2 * (ranks - 1) / ranks
    wrong = sum(report["wrong"] for report in reports)
    return {"ranks": ranks, "bytes": size, "rate": rate, "bus": bus if ranks > 1 else None, "wrong": wrong}


def _be_rank(torch: Any, cuda: Any, directory: Path, rank: int, ranks: int, size: int) -> NoReturn:
    # _exit: a fork must not run the parent's exit handlers or flush its buffers.
    code = 1
    try:
        die_with_parent()
        report = _take_part(torch, cuda, str(directory / "store"), rank, ranks, size)
        code = 0
    except BaseException as error:
        report = {"error": f"rank {rank}: {type(error).__name__}: {error}"}
    try:
        (directory / f"{rank}.json").write_text(json.dumps(report), encoding="utf-8")
    finally:
        os._exit(code)


def _take_part(torch: Any, cuda: Any, path: str, rank: int, ranks: int, size: int) -> dict[str, Any]:
    distributed = torch.distributed
    cuda.use(rank)
    store = distributed.FileStore(path, ranks)
    distributed.init_process_group(cuda.backend, store=store, rank=rank, world_size=ranks, timeout=TIMEOUT)
    ones = torch.arange(size // 4, dtype=torch.int32, device=cuda.device(rank)).remainder_(VALUES).add_(1).float()
    tensor = ones * (rank + 1)
    distributed.all_reduce(tensor)
    wrong = int((tensor != ones * (ranks * (ranks + 1) // 2)).sum())
    # The sums grow from round to round, far below what fp32 holds.
    seconds = cuda.seconds(lambda: distributed.all_reduce(tensor), REPEATS, rank)
    # After an error the process just ends: leaving the group would wait for ranks that cannot answer.
    distributed.destroy_process_group()
    return {"wrong": wrong, "seconds": seconds}


def _wait(processes: dict[int, int]) -> dict[int, int]:
    """Wait status by rank, in the order they ended. Once one has failed, the others wait in vain: they are ended."""
    left, statuses, deadline = dict(processes), {}, float("inf")
    while left:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == 0:
            if time.monotonic() > deadline:
                for waiting in left:
                    os.kill(waiting, signal.SIGKILL)
            time.sleep(0.02)
            continue
        statuses[left.pop(process)] = status
        if status != 0:
            deadline = min(deadline, time.monotonic() + GRACE)
    return statuses


def _read(directory: Path, rank: int, status: int) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((directory / f"{rank}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit status {status >> 8}"
        return {"error": f"rank {rank} ended with {how}", "status": status}
    return found
