"""The heart of the trainer: what learns, one step, one epoch, one evaluation. Read this file first."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from cifar10.batches import EpochOrder, Resident, averaged, draw_epoch, normalise, rank_positions, take_batch
from cifar10.device import start_clock
from cifar10.distributed import Process, sum_over_ranks, without_exchange
from cifar10.errors import TrainerError
from cifar10.models import WHITENING_EPOCHS, FastNet, build_model, build_optimizer, set_rates
from cifar10.report import say
from cifar10.settings import Recipe

FREE_MEMORY = "free memory (on a GPU see nvidia-smi) or give a smaller --batch-size"


@dataclass(slots=True)
class Learner:
    """The network as it is, `parallel` through DDP, and `compiled`; at most `micro_batch` images go in at once."""

    recipe: Recipe
    process: Process
    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    micro_batch: int
    parallel: nn.Module
    compiled: Callable[[Tensor], Tensor] | None

    def logits(self, images: Tensor, train: bool = False) -> Tensor:
        """Float32 logits (B, 10), computed in this process's precision."""
        forward = self.parallel if train else self.network
        if train and self.compiled and len(images) == self.micro_batch:  # another size would be compiled anew
            forward = self.compiled
        device, precision = self.process.device, self.process.precision
        with torch.autocast(device.type, precision, enabled=precision is not torch.float32):
            return forward(images).float()


def build_learner(recipe: Recipe, process: Process, compiled: bool = False) -> Learner:
    """Model, optimizer and gradient scaler, the same on every rank."""
    device, alone = process.device, process.size == 1
    network = parallel = build_model(recipe, device)
    if not alone:
        # Batch norm's statistics are averaged before each evaluation instead of being sent in each step.
        ids = [device.index] if device.type == "cuda" else None
        options = {"gradient_as_bucket_view": True, "broadcast_buffers": False}
        parallel = DistributedDataParallel(network, device_ids=ids, **options)
    # CUDA graphs, which this mode records, take the launches out of small steps; DDP's hooks cannot be recorded.
    mode = "reduce-overhead" if device.type == "cuda" and alone else "default"
    faster = torch.compile(parallel, mode=mode, dynamic=False) if compiled else None
    # Only float16 needs loss scaling: bfloat16 has float32's range.
    scaler = torch.amp.GradScaler(device.type, enabled=process.precision is torch.float16)
    share = -(-recipe.batch_size // process.size)
    return Learner(recipe, process, network, build_optimizer(network, recipe), scaler, share, parallel, faster)


@dataclass(slots=True)
class Position:
    """Whole epochs done, a metrics row for each; of the running one its steps, summed loss and seconds of training."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


def train_step(learner: Learner, data: Resident, order: EpochOrder, start: int, stop: int) -> Tensor:
    """One step on this rank's share of the global batch at positions start..stop; returns the share's summed loss.

    DDP averages gradients over ranks, so each summed loss is weighted by ranks / global batch: the mean is then exactly
    the one-process mean, also when the shares are unequal. Nothing here waits for the device.
    """
    process, smoothing = learner.process, learner.recipe.label_smoothing
    pieces, weight = rank_positions(start, stop, process, learner.micro_batch), process.size / (stop - start)
    if not pieces:  # the last batch is smaller than the number of ranks: this one joins in with weight 0
        pieces, weight = [slice(start, start + 1)], 0.0
    learner.optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), device=data.labels.device)
    for piece in pieces:
        images, labels = take_batch(data, order, piece)
        with without_exchange(learner.parallel, piece is not pieces[-1]):
            logits = learner.logits(images, train=True)
            loss_sum = functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
            learner.scaler.scale(loss_sum * weight).backward()
        total += loss_sum.detach()
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    return total if weight else total * 0


def train_epoch(learner: Learner, data: Resident, position: Position, after_step: Callable[[], bool]) -> bool:
    """Train the running epoch to its end, or until `after_step()` is True; whether it ended."""
    recipe, process, device = learner.recipe, learner.process, data.labels.device
    order = draw_epoch(len(data), recipe, position.epoch, device)
    learner.network.train()
    if isinstance(learner.network, FastNet) and learner.parallel is learner.network and not learner.compiled:
        # Its rate is 0 from then on: without its gradient a step is faster. DDP and a compiled network need it.
        learner.network.bias.requires_grad_(position.epoch < WHITENING_EPOCHS)
    clock = start_clock(device)
    total = torch.tensor(position.loss_sum if process.rank == 0 else 0.0, dtype=torch.float64, device=device)
    steps, stopped = -(-len(data) // recipe.batch_size), False
    while position.step < steps and not stopped:
        start = position.step * recipe.batch_size
        set_rates(learner.optimizer, recipe, position.epoch + position.step / steps)
        try:
            total += train_step(learner, data, order, start, min(start + recipe.batch_size, len(data)))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            halve_micro_batch(learner, error)
            continue
        position.step += 1
        stopped = after_step()
    position.loss_sum = float(sum_over_ranks(process, total))  # the epoch's only wait for the device
    position.seconds += clock()
    return position.step == steps


@torch.inference_mode()
def evaluate(learner: Learner, data: Resident, six_views: bool = False) -> tuple[float, float]:
    """Mean loss and accuracy (0..1) over exactly the images of `data`, each on one rank only."""
    process = learner.process
    for buffer in learner.network.buffers():  # batch norm's statistics, which each rank has of its own images
        if process.size > 1 and buffer.is_floating_point():
            sum_over_ranks(process, buffer).div_(process.size)
    mine = slice(process.rank, None, process.size)
    logits, labels = all_logits(learner, data, mine, six_views).double(), data.labels[mine]
    sums = torch.stack([functional.cross_entropy(logits, labels, reduction="sum"), (logits.argmax(1) == labels).sum()])
    loss, accuracy = (sum_over_ranks(process, sums) / len(data)).tolist()
    return loss, accuracy


@torch.inference_mode()
def all_logits(learner: Learner, data: Resident, rows: slice, six_views: bool = False) -> Tensor:
    """Float32 logits (N, 10) of the images in `rows`, batch by batch; with `six_views` the mean over those of each."""
    learner.network.eval()
    # On a CPU small batches stay in the cache; a GPU wants few launches.
    batches = data.images[rows].split(250 if data.images.is_cpu else 2000)
    return torch.cat([averaged(learner.logits, normalise(batch, data), six_views) for batch in batches])


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU's or the CPU's memory ended; the CPU's allocator has no exception of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def halve_micro_batch(learner: Learner, error: RuntimeError) -> None:
    """Go on with half as many images at once, and say so; TrainerError where that cannot help."""
    before = learner.micro_batch
    if before == 1 or learner.process.size > 1:  # the other ranks wait in the middle of the step
        cause = f"out of memory with {before} images at once: {str(error).splitlines()[0]}"
        raise TrainerError(cause, FREE_MEMORY) from error
    after = learner.micro_batch = -(-before // 2)
    say(f"out of memory with {before} images at once: going on with {after}, same batch")
