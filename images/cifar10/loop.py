"""The heart of the trainer: one step, one epoch, one evaluation. Read this file first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from cifar10.batches import EpochOrder, Resident, normalise, rank_positions, take_batch
from cifar10.distributed import Ranks, sum_over_ranks
from cifar10.models import build_model, build_optimizer
from cifar10.settings import Settings


@dataclass(slots=True)
class Learner:
    """What learns. `network` holds the weights; `forward` calls it, through torch.compile and DDP where asked."""

    network: nn.Module
    forward: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device
    precision: torch.dtype

    def logits(self, forward: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """Float32 logits (B, 10), computed in this learner's precision."""
        with torch.autocast(self.device.type, self.precision, enabled=self.precision is not torch.float32):
            return forward(images).float()


@dataclass(slots=True)
class EpochState:
    """How far the running epoch is: steps done, the summed loss of its images, seconds spent training."""

    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0


def build_learner(settings: Settings, device: torch.device, precision: torch.dtype, ranks: Ranks) -> Learner:
    """Model, optimizer and gradient scaler, the same on every rank."""
    torch.manual_seed(settings.seed)
    network = build_model(settings.model, device)
    forward: nn.Module = network
    if ranks.size > 1:
        ids = [device.index] if device.type == "cuda" else None
        forward = DistributedDataParallel(network, device_ids=ids, gradient_as_bucket_view=True)
    optimizer = build_optimizer(network, settings.learning_rate)
    # Only float16 needs loss scaling: bfloat16 has float32's range.
    scaler = torch.amp.GradScaler(device.type, enabled=precision is torch.float16)
    compiled = torch.compile(forward) if settings.compile else forward
    return Learner(network, compiled, optimizer, scaler, device, precision)


def train_step(learner: Learner, images: Tensor, labels: Tensor, weight: float) -> Tensor:
    """One optimizer step on images (B, 3, 32, 32) and labels (B,); returns their summed loss, still on the device.

    The gradient is that of `weight` x the summed loss. Nothing here waits for the device.
    """
    logits = learner.logits(learner.forward, images)
    loss_sum = functional.cross_entropy(logits, labels, reduction="sum")
    learner.optimizer.zero_grad(set_to_none=True)
    learner.scaler.scale(loss_sum * weight).backward()
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    return loss_sum.detach()


def train_share(learner: Learner, data: Resident, order: EpochOrder, start: int, stop: int, ranks: Ranks) -> Tensor:
    """One step on this rank's share of the global batch at positions start..stop; returns the share's summed loss.

    DDP averages gradients over ranks, so each summed loss is weighted by ranks / global batch: the mean is then exactly
    the one-process mean, also when the shares are unequal.
    """
    if ranks.rank < stop - start:
        images, labels = take_batch(data, order, rank_positions(start, stop, ranks))
        return train_step(learner, images, labels, ranks.size / (stop - start))
    # A last batch smaller than the number of ranks leaves this one without a share: it joins in with weight 0.
    images, labels = take_batch(data, order, slice(start, start + 1))
    return train_step(learner, images, labels, 0.0) * 0


def train_epoch(
    learner: Learner,
    data: Resident,
    order: EpochOrder,
    batch_size: int,
    ranks: Ranks,
    state: EpochState,
    after_step: Callable[[int], bool],
) -> bool:
    """Train from `state` to the epoch's end, or until `after_step(steps done)` is True; returns whether it ended.

    `batch_size` is the global batch.
    """
    begun = time.monotonic()
    learner.network.train()
    total = torch.tensor(state.loss_sum if ranks.lead else 0.0, dtype=torch.float64, device=learner.device)
    steps = -(-len(data) // batch_size)
    stopped = False
    while state.step < steps and not stopped:
        start = state.step * batch_size
        total += train_share(learner, data, order, start, min(start + batch_size, len(data)), ranks)
        state.step += 1
        stopped = after_step(state.step)
    state.loss_sum = float(sum_over_ranks(ranks, total))  # the epoch's only wait for the device
    state.seconds += time.monotonic() - begun
    return state.step == steps


@torch.inference_mode()
def evaluate(learner: Learner, data: Resident, ranks: Ranks) -> tuple[float, float]:
    """Mean loss and accuracy (0..1) over exactly the images of `data`, each on one rank only."""
    mine = torch.arange(ranks.rank, len(data), ranks.size, device=learner.device)
    sums = torch.zeros(2, dtype=torch.float64, device=learner.device)
    for rows, logits in batch_logits(learner, data, mine):
        labels = data.labels[rows]
        sums[0] += functional.cross_entropy(logits, labels, reduction="sum")
        sums[1] += (logits.argmax(1) == labels).sum()
    loss, accuracy = (sum_over_ranks(ranks, sums) / len(data)).tolist()
    return loss, accuracy


@torch.inference_mode()
def batch_logits(learner: Learner, data: Resident, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The images at `rows` (N,), batch by batch: their row numbers (B,) and float32 logits (B, 10)."""
    learner.network.eval()
    # On a CPU small batches stay in the cache; a GPU wants few launches.
    for batch in rows.split(250 if learner.device.type == "cpu" else 5000):
        yield batch, learner.logits(learner.network, normalise(data.images[batch], data))
