"""torchrun's ranks: who am I, the process group, and the few collectives the trainer needs.

Without torchrun everything here is the case of one rank and costs nothing.
"""

import os
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
class Ranks:
    """This process's place: `rank` of `size` in all, `local` of `local_size` on this machine. Rank 0 prints, writes."""

    rank: int = 0
    size: int = 1
    local: int = 0
    local_size: int = 1


def ranks_from_environment() -> Ranks:
    """Read what torchrun sets; one rank when it is not there."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Ranks(*(int(os.environ.get(name, default)) for name, default in zip(names, "0101", strict=True)))


@contextmanager
def process_group(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Join the other ranks (nccl for what lies on a GPU, else gloo) and leave them again; nothing for one rank.

    Raises TrainerError when contact with another rank is lost.
    """
    if ranks.size == 1:
        yield
        return
    backend, own = ("cpu:gloo,cuda:nccl", device) if device.type == "cuda" else ("gloo", None)
    dist.init_process_group(backend, timeout=COLLECTIVE_TIMEOUT, device_id=own)
    try:
        yield
    except StoppedError:  # every rank is here
        dist.destroy_process_group()
        raise
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        cause = f"rank {ranks.rank} lost contact with the other ranks ({str(error).splitlines()[0]})"
        raise TrainerError(cause, "see the first rank's error; then continue with --resume auto") from error
    # After an error the process ends without this: nccl would wait for ranks that are still in a collective.
    dist.destroy_process_group()


@contextmanager
def lead_first(ranks: Ranks) -> Iterator[None]:
    """Run the block on rank 0 alone, then on the others: one download, whose errors are printed once."""
    waiting = dist.new_group(backend="gloo", timeout=DATA_TIMEOUT) if ranks.size > 1 else None
    if waiting and ranks.rank > 0:
        dist.barrier(waiting)
    yield
    if waiting and ranks.rank == 0:
        dist.barrier(waiting)


def sum_over_ranks(ranks: Ranks, values: Tensor) -> Tensor:
    """Sum `values` elementwise over all ranks, in place."""
    if ranks.size > 1:
        dist.all_reduce(values)
    return values


def any_rank(ranks: Ranks, flag: int) -> int:
    """The greatest `flag` of all ranks; waits for every rank, but for no GPU."""
    if ranks.size == 1:  # in every step
        return flag
    shared = torch.tensor(flag)
    dist.all_reduce(shared, op=dist.ReduceOp.MAX)
    return int(shared)


def without_exchange(network: nn.Module, wanted: bool = True) -> AbstractContextManager[Any]:
    """Under DDP, a backward pass in this block leaves the ranks' gradients to themselves, where that is `wanted`."""
    return network.no_sync() if wanted and isinstance(network, DistributedDataParallel) else nullcontext()
