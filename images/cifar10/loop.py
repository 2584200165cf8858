"""The heart of the trainer: one step, one epoch, one evaluation. Read this file first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cifar10.batches import EpochOrder, Resident, averaged, normalise, rank_positions, take_batch
from cifar10.device import start_clock
from cifar10.distributed import average_buffers, sum_over_ranks, without_exchange
from cifar10.learner import Learner
from cifar10.memory import halve_micro_batch, is_out_of_memory
from cifar10.optimizers import set_rates


@dataclass(slots=True)
class EpochState:
    """How far the running epoch is: steps done, the summed loss of its images, seconds spent training."""

    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0


def train_step(learner: Learner, data: Resident, order: EpochOrder, pieces: list[slice], weight: float) -> Tensor:
    """One optimizer step on the images at `pieces`, computed one after the other; returns their summed loss.

    The gradient is that of `weight` x the summed loss. Nothing here waits for the device.
    """
    learner.optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), device=data.labels.device)
    for piece in pieces:
        images, labels = take_batch(data, order, piece)
        with without_exchange(learner.parallel, piece is not pieces[-1]):
            logits, smoothing = learner.logits(images, train=True), learner.recipe.label_smoothing
            loss_sum = functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
            learner.scaler.scale(loss_sum * weight).backward()
        total += loss_sum.detach()
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    return total


def train_share(learner: Learner, data: Resident, order: EpochOrder, start: int, stop: int) -> Tensor:
    """One step on this rank's share of the global batch at positions start..stop; returns the share's summed loss.

    DDP averages gradients over ranks, so each summed loss is weighted by ranks / global batch: the mean is then exactly
    the one-process mean, also when the shares are unequal.
    """
    ranks = learner.process.ranks
    pieces = rank_positions(start, stop, ranks, learner.micro_batch)
    if pieces:
        return train_step(learner, data, order, pieces, ranks.size / (stop - start))
    # A last batch smaller than the number of ranks leaves this one without a share: it joins in with weight 0.
    return train_step(learner, data, order, [slice(start, start + 1)], 0.0) * 0


def train_epoch(
    learner: Learner,
    data: Resident,
    epoch: int,
    order: EpochOrder,
    state: EpochState,
    after_step: Callable[[int], bool],
) -> bool:
    """Train `epoch` (from 0) from `state` to its end, or until `after_step(steps done)` is True; whether it ended."""
    learner.network.train()
    ranks, device, batch_size = learner.process.ranks, data.labels.device, learner.recipe.batch_size
    clock = start_clock(device)
    total = torch.tensor(state.loss_sum if ranks.lead else 0.0, dtype=torch.float64, device=device)
    steps, stopped = -(-len(data) // batch_size), False
    while state.step < steps and not stopped:
        start = state.step * batch_size
        set_rates(learner.optimizer, learner.recipe, epoch + state.step / steps)
        try:
            total += train_share(learner, data, order, start, min(start + batch_size, len(data)))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            halve_micro_batch(learner, error)
            continue
        state.step += 1
        stopped = after_step(state.step)
    state.loss_sum = float(sum_over_ranks(ranks, total))  # the epoch's only wait for the device
    state.seconds += clock()
    return state.step == steps


@torch.inference_mode()
def evaluate(learner: Learner, data: Resident, augmented: bool = False) -> tuple[float, float]:
    """Mean loss and accuracy (0..1) over exactly the images of `data`, each on one rank only."""
    ranks, device = learner.process.ranks, data.labels.device
    average_buffers(ranks, learner.network)
    mine = torch.arange(ranks.rank, len(data), ranks.size, device=device)
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for rows, logits in batch_logits(learner, data, mine, augmented):
        labels = data.labels[rows]
        sums[0] += functional.cross_entropy(logits, labels, reduction="sum")
        sums[1] += (logits.argmax(1) == labels).sum()
    loss, accuracy = (sum_over_ranks(ranks, sums) / len(data)).tolist()
    return loss, accuracy


@torch.inference_mode()
def batch_logits(
    learner: Learner, data: Resident, rows: Tensor, augmented: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """The images at `rows` (N,), batch by batch: their row numbers (B,) and float32 logits (B, 10).

    `augmented` averages the logits of six views of each image.
    """
    learner.network.eval()
    # On a CPU small batches stay in the cache; a GPU wants few launches.
    for batch in rows.split(250 if rows.is_cpu else 2000):
        yield batch, averaged(learner.logits, normalise(data.images[batch], data), augmented)
