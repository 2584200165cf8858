"""Memory: a step that does not fit is computed in smaller pieces, which gives the same gradient."""

import re
from pathlib import Path
from typing import Any

import psutil
import torch

from cifar10.batches import Resident, move_to_device, normalise
from cifar10.device import start, start_clock
from cifar10.distributed import any_rank, without_exchange
from cifar10.errors import TrainerError
from cifar10.loop import FREE_MEMORY, Learner, build_learner
from cifar10.report import say
from cifar10.settings import Settings
from cifar10.sources import load_dataset
from envcheck.probes.paths import read_text

# The rest is for evaluation, the page cache and whoever else runs in the container.
USABLE = 0.8
GRAPH_WARM_UP = 3
MEMORY_FILES = ("max", "limit_in_bytes", "current", "usage_in_bytes", "stat")
SMALLEST_TRIAL, SLOWEST_TRIAL_SECONDS = 32, 5.0


def prepare_step(learner: Learner, data: Resident) -> float:
    """Find how many images fit at once on every rank, and compile if that is wanted; returns the seconds it took."""
    clock, share = start_clock(learner.process.device), min(learner.micro_batch, len(data))
    fitting = share
    while fitting > 1 and not fits(learner, data, fitting):
        fitting = -(-fitting // 2)
    learner.micro_batch = -any_rank(learner.process, -fitting)
    if learner.micro_batch < share:
        say(f"memory is short: {learner.micro_batch} of {share} images at once, same batch and curve")
    for _ in range(GRAPH_WARM_UP if learner.compiled else 0):
        rehearse(learner, data, learner.micro_batch)
    return clock()


def find_batch(settings: Settings) -> dict[str, Any]:
    """Speed and memory of growing batches while they fit and are fast enough. TrainerError: not even one fits."""
    process, count, seconds = start(settings.device, settings.precision), SMALLEST_TRIAL, 0.0
    data = move_to_device(load_dataset(settings).train, process.device)
    learner = build_learner(settings.recipe(process.device.type), process)
    rows: list[dict[str, Any]] = []
    while seconds < SLOWEST_TRIAL_SECONDS and fits(learner, data, count):
        clock = start_clock(process.device)
        rehearse(learner, data, count)
        seconds, memory = clock(), step_bytes(learner, count)
        if process.device.type == "cuda":
            memory = torch.cuda.max_memory_allocated(process.device)
        rows.append({"batch_size": count, "images_per_second": round(count / seconds, 1), "memory_bytes": memory})
        say(f"batch {count:>6}  {count / seconds:>9,.0f} images/s  {memory / 2**20:>7,.0f} MiB")
        count *= 2
    if not rows:
        raise TrainerError(f"there is no memory for {count} images at once", FREE_MEMORY)
    fastest = max(rows, key=lambda row: row["images_per_second"])
    return {"fastest": fastest["batch_size"], "largest": rows[-1]["batch_size"], "batches": rows}


def fits(learner: Learner, data: Resident, count: int) -> bool:
    """Whether so many images at once fit: estimated on a CPU; tried on a GPU, where cuDNN chooses algorithms."""
    if learner.process.device.type == "cpu":
        return step_bytes(learner, count) <= available_memory() * USABLE / learner.process.local_size
    try:
        rehearse(learner, data, count)
    except torch.OutOfMemoryError:
        return False
    return True


def rehearse(learner: Learner, data: Resident, count: int) -> None:
    """Forward and backward pass on so many images, which leave no trace in network or optimizer."""
    network = learner.network.train()
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        images = data.images[torch.arange(count, device=data.images.device) % len(data)]
        with without_exchange(learner.parallel):
            learner.logits(normalise(images, data), train=True).sum().backward()
    finally:
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)
        network.zero_grad(set_to_none=True)


def step_bytes(learner: Learner, count: int) -> int:
    """What a CPU step on so many images takes in float32, 0 where the network does not say it."""
    return count * getattr(learner.network, "step_bytes", 0)


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may still take: the least of what the machine and each control group have left."""
    left = [psutil.virtual_memory().available]
    own = re.search(r"^0::/*(.*)", read_text(root, "/proc/self/cgroup") or "", re.MULTILINE)
    group = Path(own[1] if own else "")
    for name in (group, *group.parents, "memory"):  # of version 2, and then of version 1
        files = {file: read_text(root / "sys/fs/cgroup" / name, f"memory.{file}") or "" for file in MEMORY_FILES}
        if (limit := files["max"] or files["limit_in_bytes"]).isdigit():
            used = files["current"] or files["usage_in_bytes"] or 0
            # The kernel takes this part of the page cache back; in version 1 total_... is with the groups below.
            caches = map(int, re.findall(r"inactive_file (\d+)", files["stat"]))
            left.append(max(0, int(limit) - int(used) + max(caches, default=0)))
    return min(left)
