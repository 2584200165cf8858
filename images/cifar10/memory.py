"""Memory: a step that does not fit is computed in smaller pieces, which gives the same gradient."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cifar10.batches import Resident, move_to_device, normalise
from cifar10.device import start, start_clock
from cifar10.distributed import any_rank, without_exchange
from cifar10.errors import TrainerError, UsageError
from cifar10.learner import Learner, build_learner
from cifar10.limits import available_memory
from cifar10.settings import Settings
from cifar10.sources import load_dataset

# A CPU step's peak is at most so many times what its backward pass needs of the forward pass (measured on both models).
PEAK = 2.5
SAMPLES = (8, 40)
# The rest is for evaluation, the page cache and whoever else runs in the container.
USABLE = 0.8
GRAPH_WARM_UP = 3
SMALLEST_TRIAL, SLOWEST_TRIAL_SECONDS = 32, 5.0
FREE_MEMORY = "free memory (on a GPU see nvidia-smi) or give a smaller --batch-size"


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU's or the CPU's memory ended; the CPU's allocator has no exception of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def halve_micro_batch(learner: Learner, error: RuntimeError) -> None:
    """Go on with half as many images at once, and say so. Raises TrainerError where that cannot help.

    It cannot on several ranks: the others wait in the middle of the step.
    """
    before = learner.micro_batch
    if before == 1 or learner.process.ranks.size > 1:
        cause = f"out of memory with {before} images at once: {str(error).splitlines()[0]}"
        raise TrainerError(cause, FREE_MEMORY) from error
    after = learner.micro_batch = -(-before // 2)
    learner.process.display.say(f"out of memory with {before} images at once: going on with {after}, same batch")


def prepare_step(learner: Learner, data: Resident) -> float:
    """Find how many images fit at once on every rank, and compile if that is wanted; returns the seconds it took."""
    clock, process = start_clock(learner.process.device), learner.process
    share = fitting = min(learner.micro_batch, len(data))
    while fitting > 1 and not fits(learner, data, fitting):
        fitting = -(-fitting // 2)
    learner.micro_batch = -any_rank(process.ranks, -fitting)
    if learner.micro_batch < share:
        process.display.say(f"memory is short: {learner.micro_batch} of {share} images at once, same batch and curve")
    for _ in range(GRAPH_WARM_UP if learner.compiled else 0):
        rehearse(learner, data, learner.micro_batch)
    return clock()


def find_batch(settings: Settings) -> dict[str, Any]:
    """Speed and memory of growing batches, up to the largest that fits or takes SLOWEST_TRIAL_SECONDS.

    The result has one object a batch size, the fastest and the largest. Raises TrainerError when none fits.
    """
    process, count, seconds = start(settings.device, settings.precision), SMALLEST_TRIAL, 0.0
    if process.ranks.size > 1:
        raise UsageError("--find-batch measures one device", "start it without torchrun")
    data = move_to_device(load_dataset(settings, process.display).train, process.device)
    learner = build_learner(settings.recipe(process.device.type), process)
    rows: list[dict[str, Any]] = []
    cuda = process.device.type == "cuda"
    estimate = 0 if cuda else step_bytes(learner, data)
    while seconds < SLOWEST_TRIAL_SECONDS and fits(learner, data, count):
        clock = start_clock(process.device)
        rehearse(learner, data, count)
        seconds = clock()
        memory = torch.cuda.max_memory_allocated(process.device) if cuda else count * estimate
        rows.append({"batch_size": count, "images_per_second": round(count / seconds, 1), "memory_bytes": memory})
        process.display.say(f"batch {count:>6}  {count / seconds:>9,.0f} images/s  {memory / 2**20:>7,.0f} MiB")
        count *= 2
    if not rows:
        raise TrainerError(f"there is no memory for {count} images at once", FREE_MEMORY)
    fastest = max(rows, key=lambda row: row["images_per_second"])
    return {"fastest": fastest["batch_size"], "largest": rows[-1]["batch_size"], "batches": rows}


def fits(learner: Learner, data: Resident, count: int) -> bool:
    """Whether memory is enough for so many images at once: estimated on a CPU, tried on a GPU.

    There it also lets cuDNN choose its algorithms.
    """
    if learner.process.device.type == "cpu":
        return count * step_bytes(learner, data) <= available_memory() * USABLE / learner.process.ranks.local_size
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
        learner.logits(_images(data, count), train=True).sum().backward()


def step_bytes(learner: Learner, data: Resident) -> int:
    """Bytes that a CPU step needs for each image, from what autograd keeps of two small batches."""
    kept = []
    for count in SAMPLES:
        sizes: dict[int, int] = {}

        def keep(tensor: Tensor, sizes: dict[int, int] = sizes) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with _untouched(learner.network), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            learner.logits(_images(data, count)).sum()
        kept.append(sum(sizes.values()))
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
