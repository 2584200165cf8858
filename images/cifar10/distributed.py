"""torchrun's ranks: who am I, the process group, and the few collectives the trainer needs.

Without torchrun everything here is the case of one rank and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cifar10.errors import StoppedError, TrainerError

Value = TypeVar("Value")

# A download on the first rank may take hours; a hung collective should still be noticed within minutes.
DATA_TIMEOUT = timedelta(hours=12)
COLLECTIVE_TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's place: `rank` of `size` in all, `local` of `local_size` on this machine."""

    rank: int = 0
    size: int = 1
    local: int = 0
    local_size: int = 1

    @property
    def lead(self) -> bool:
        """Whether this rank prints and writes."""
        return self.rank == 0


def ranks_from_environment(environ: Mapping[str, str]) -> Ranks:
    """Read what torchrun sets; one rank when it is not there."""
    if "RANK" not in environ or "WORLD_SIZE" not in environ:
        return Ranks()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Ranks(*(int(environ.get(name, default)) for name, default in zip(names, "0101", strict=True)))


@contextmanager
def process_group(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Join the other ranks (nccl on CUDA, gloo on CPU) and leave them again; nothing for one rank.

    Raises TrainerError when contact with another rank is lost.
    """
    if ranks.size == 1:
        yield
        return
    cuda = device.type == "cuda"
    dist.init_process_group("nccl" if cuda else "gloo", timeout=COLLECTIVE_TIMEOUT, device_id=device if cuda else None)
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
    if ranks.size == 1:
        yield
        return
    waiting = dist.new_group(backend="gloo", timeout=DATA_TIMEOUT)
    if not ranks.lead:
        dist.barrier(waiting)
    yield
    if ranks.lead:
        dist.barrier(waiting)


def sum_over_ranks(ranks: Ranks, values: Tensor) -> Tensor:
    """Sum `values` elementwise over all ranks, in place."""
    if ranks.size > 1:
        dist.all_reduce(values)
    return values


def any_rank(ranks: Ranks, flag: int, device: torch.device) -> int:
    """The greatest `flag` of all ranks; waits for every rank."""
    if ranks.size == 1:
        return flag
    shared = torch.tensor(flag, device=device)
    dist.all_reduce(shared, op=dist.ReduceOp.MAX)
    return int(shared)


def least_of_ranks(ranks: Ranks, count: int, device: torch.device) -> int:
    """The smallest `count` of all ranks; waits for every rank."""
    return -any_rank(ranks, -count, device)


def average_buffers(ranks: Ranks, network: nn.Module) -> None:
    """Replace batch norm's statistics, which each rank has of its own images, by their mean over the ranks."""
    for buffer in network.buffers():
        if ranks.size > 1 and buffer.is_floating_point():
            sum_over_ranks(ranks, buffer).div_(ranks.size)


def without_exchange(network: nn.Module, wanted: bool = True) -> AbstractContextManager[Any]:
    """Under DDP, a backward pass in this block leaves the ranks' gradients to themselves, where that is `wanted`."""
    return network.no_sync() if wanted and isinstance(network, DistributedDataParallel) else nullcontext()


def from_lead(ranks: Ranks, value: Value, device: torch.device) -> Value:
    """Rank 0's `value`, on every rank."""
    if ranks.size == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=device)
    return box[0]
