"""torchrun's ranks, of which the first prints and writes: process group and collectives. One alone pays nothing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cifar10.errors import StoppedError, TrainerError

# A download on the first rank may take hours; a hung collective should still be noticed within minutes.
DATA_TIMEOUT, COLLECTIVE_TIMEOUT = timedelta(hours=12), timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Process:
    """A device and the autocast type there; it is `rank` of `size` in all, `local` of `local_size` on this machine."""

    device: torch.device
    precision: torch.dtype = torch.float32
    rank: int = 0
    size: int = 1
    local: int = 0
    local_size: int = 1


@contextmanager
def process_group(process: Process) -> Iterator[None]:
    """Join the other ranks (nccl on GPUs, else gloo) for the block; TrainerError when contact with one is lost."""
    if process.size == 1:
        yield
        return
    backend, own = ("cpu:gloo,cuda:nccl", process.device) if process.device.type == "cuda" else ("gloo", None)
    dist.init_process_group(backend, timeout=COLLECTIVE_TIMEOUT, device_id=own)
    try:
        yield
    except StoppedError:  # every rank is here
        dist.destroy_process_group()
        raise
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        cause = f"rank {process.rank} lost contact with the other ranks ({str(error).splitlines()[0]})"
        raise TrainerError(cause, "see the first rank's error; then continue with --resume auto") from error
    # After an error the process ends without this: nccl would wait for ranks that are still in a collective.
    dist.destroy_process_group()


@contextmanager
def lead_first(process: Process) -> Iterator[None]:
    """Run the block on rank 0 alone, then on the others: one download, whose errors are printed once."""
    waiting = dist.new_group(backend="gloo", timeout=DATA_TIMEOUT) if process.size > 1 else None
    if waiting and process.rank > 0:
        dist.barrier(waiting)
    yield
    if waiting and process.rank == 0:
        dist.barrier(waiting)


def sum_over_ranks(process: Process, values: Tensor) -> Tensor:
    """Sum `values` elementwise over all ranks, in place."""
    if process.size > 1:
        dist.all_reduce(values)
    return values


def any_rank(process: Process, flag: int) -> int:
    """The greatest `flag` of all ranks; waits for every rank, but for no GPU."""
    if process.size == 1:  # in every step
        return flag
    shared = torch.tensor(flag)
    dist.all_reduce(shared, op=dist.ReduceOp.MAX)
    return int(shared)


def without_exchange(network: nn.Module, wanted: bool = True) -> AbstractContextManager[Any]:
    """Under DDP, a backward pass in this block leaves the ranks' gradients to themselves, where that is `wanted`."""
    return network.no_sync() if wanted and isinstance(network, DistributedDataParallel) else nullcontext()
