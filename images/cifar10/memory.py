"""Memory: a step that does not fit is computed in smaller pieces, which gives the same gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cifar10.batches import Resident, normalise
from cifar10.device import start_clock
from cifar10.distributed import least_of_ranks, without_exchange
from cifar10.errors import TrainerError
from cifar10.learner import Learner
from cifar10.limits import available_memory

# A CPU step's peak is at most so many times what its backward pass needs of the forward pass (measured on both models).
PEAK = 2.5
SAMPLES = (8, 40)
# The rest is for evaluation, the page cache and whoever else runs in the container.
USABLE = 0.8
GRAPH_WARM_UP = 3
SLOWEST_TRIAL = 5.0


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU's or the CPU's memory ended; the CPU's allocator has no exception of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def halve_micro_batch(learner: Learner, error: RuntimeError) -> None:
    """Go on with half as many images at once, and say so. Raises TrainerError where that cannot help.

    It cannot on several ranks: the others wait in the middle of the step.
    """
    before = learner.micro_batch
    if before == 1 or learner.ranks.size > 1:
        cause = f"out of memory with {before} images at once: {str(error).splitlines()[0]}"
        raise TrainerError(cause, "free memory (see nvidia-smi) or give a smaller --batch-size") from error
    learner.micro_batch = -(-before // 2)
    learner.display.say(f"out of memory with {before} images at once: going on with {learner.micro_batch}, same batch")


def prepare_step(learner: Learner, data: Resident) -> float:
    """Find how many images fit at once on every rank, and compile if that is wanted; returns the seconds it took."""
    clock, share = start_clock(learner.device), min(learner.micro_batch, len(data))
    fitting = share
    if learner.device.type == "cpu":
        room, need = available_memory() * USABLE / learner.ranks.local_size, step_bytes(learner, data)
        while fitting > 1 and fitting * need > room:
            fitting = -(-fitting // 2)
    else:
        while not fits(learner, data, fitting) and fitting > 1:
            fitting = -(-fitting // 2)
    learner.micro_batch = least_of_ranks(learner.ranks, fitting, learner.device)
    if learner.micro_batch < share:
        learner.display.say(f"memory is short: {learner.micro_batch} of {share} images at once, same batch and curve")
    if learner.compiled:
        for _ in range(GRAPH_WARM_UP):
            rehearse(learner, data, learner.micro_batch)
    return clock()


def find_batch(learner: Learner, data: Resident) -> list[dict[str, Any]]:
    """Speed and memory of growing batches, up to the largest that fits or takes SLOWEST_TRIAL seconds."""
    rows: list[dict[str, Any]] = []
    count, seconds, cuda = 32, 0.0, learner.device.type == "cuda"
    need = step_bytes(learner, data)
    while seconds < SLOWEST_TRIAL and (fits(learner, data, count) if cuda else count * need < available_memory()):
        clock = start_clock(learner.device)
        rehearse(learner, data, count)
        seconds = clock()
        memory = torch.cuda.max_memory_allocated(learner.device) if cuda else count * need
        rows.append({"batch_size": count, "images_per_second": round(count / seconds, 1), "memory_bytes": memory})
        learner.display.say(f"batch {count:>6}  {count / seconds:>9,.0f} images/s  {memory / 2**20:>7,.0f} MiB")
        count *= 2
    return rows


def fits(learner: Learner, data: Resident, count: int) -> bool:
    """Whether a GPU's memory is enough for so many images at once; also lets cuDNN choose its algorithms."""
    try:
        rehearse(learner, data, count)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def rehearse(learner: Learner, data: Resident, count: int) -> None:
    """Forward and backward pass on so many images, which leave no trace in network or optimizer."""
    with _untouched(learner.network), without_exchange(learner.parallel):
        images = _images(data, count)
        learner.logits(learner.forward_for(images), images).sum().backward()


def step_bytes(learner: Learner, data: Resident) -> int:
    """Bytes that a CPU step needs for each image, from what autograd keeps of two small batches."""
    kept = []
    for count in SAMPLES:
        tensors: dict[int, int] = {}

        def keep(tensor: Tensor, tensors: dict[int, int] = tensors) -> Tensor:
            tensors[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with _untouched(learner.network), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            learner.logits(learner.network, _images(data, count)).sum()
        kept.append(sum(tensors.values()))
    return int(PEAK * (kept[1] - kept[0]) / (SAMPLES[1] - SAMPLES[0]))


def _images(data: Resident, count: int) -> Tensor:
    rows = torch.arange(count, device=data.images.device) % len(data)
    return normalise(data.images[rows], data)


@contextmanager
def _untouched(network: nn.Module) -> Iterator[None]:
    """Put back what a pass in training mode changes: batch norm's statistics, and gradients."""
    before = [buffer.clone() for buffer in network.buffers()]
    network.train()
    try:
        yield
    finally:
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)
        network.zero_grad(set_to_none=True)
