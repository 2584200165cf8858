"""What learns: a network with its optimizer, and the ways to call it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cifar10.device import Process
from cifar10.models import build_model
from cifar10.optimizers import build_optimizer
from cifar10.settings import Recipe


@dataclass(slots=True)
class Learner:
    """`network` holds the weights; `parallel` calls it, through DDP on several ranks, and `compiled` faster still.

    A rank computes at most `micro_batch` images at once.
    """

    recipe: Recipe
    process: Process
    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    micro_batch: int
    parallel: nn.Module = field(default_factory=nn.Module)
    compiled: Callable[[Tensor], Tensor] | None = None

    def logits(self, images: Tensor, train: bool = False) -> Tensor:
        """Float32 logits (B, 10), computed in this process's precision."""
        forward = self.parallel if train else self.network
        if train and self.compiled and len(images) == self.micro_batch:  # another size would be compiled anew
            forward = self.compiled
        device, precision = self.process.device, self.process.precision
        with torch.autocast(device.type, precision, enabled=precision is not torch.float32):
            return forward(images).float()

    def wrap(self, compiled: bool) -> None:
        """Build `parallel` and `compiled` for the network's present set of trained parameters."""
        self.parallel = self.network
        cuda, alone = self.process.device.type == "cuda", self.process.ranks.size == 1
        if not alone:
            ids = [self.process.device.index] if cuda else None
            # Batch norm's statistics are averaged before each evaluation instead of being sent in each step.
            self.parallel = DistributedDataParallel(
                self.network, device_ids=ids, gradient_as_bucket_view=True, broadcast_buffers=False
            )
        # CUDA graphs, which this mode records, take the launches out of small steps; DDP's hooks cannot be recorded.
        mode = "reduce-overhead" if cuda and alone else "default"
        self.compiled = torch.compile(self.parallel, mode=mode, dynamic=False) if compiled else None


def build_learner(recipe: Recipe, process: Process, compiled: bool = False) -> Learner:
    """Model, optimizer and gradient scaler, the same on every rank."""
    network = build_model(recipe, process.device)
    # Only float16 needs loss scaling: bfloat16 has float32's range.
    scaler = torch.amp.GradScaler(process.device.type, enabled=process.precision is torch.float16)
    share = -(-recipe.batch_size // process.ranks.size)
    learner = Learner(recipe, process, network, build_optimizer(network, recipe), scaler, share)
    learner.wrap(compiled)
    return learner
