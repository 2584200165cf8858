"""What learns: a network with its optimizer, and the ways to call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cifar10.distributed import Ranks
from cifar10.models import build_model
from cifar10.optimizers import build_optimizer
from cifar10.report import Display
from cifar10.settings import Recipe

Forward = Callable[[Tensor], Tensor]


@dataclass(slots=True)
class Learner:
    """`network` holds the weights; `parallel` calls it, through DDP on several ranks, and `compiled` faster still.

    A rank computes at most `micro_batch` images at once.
    """

    recipe: Recipe
    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device
    precision: torch.dtype
    ranks: Ranks
    display: Display
    micro_batch: int
    parallel: nn.Module = field(default_factory=nn.Module)
    compiled: Forward | None = None

    def logits(self, forward: Forward, images: Tensor) -> Tensor:
        """Float32 logits (B, 10), computed in this learner's precision."""
        with torch.autocast(self.device.type, self.precision, enabled=self.precision is not torch.float32):
            return forward(images).float()

    def forward_for(self, images: Tensor) -> Forward:
        """How to call the network on a batch of this size: another than the usual one would be compiled anew."""
        return self.compiled if self.compiled and len(images) == self.micro_batch else self.parallel

    def wrap(self, compiled: bool) -> None:
        """Build `parallel` and `compiled` for the network's present set of trained parameters."""
        self.parallel = self.network
        if self.ranks.size > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            # Batch norm's statistics are averaged before each evaluation instead of being sent in each step.
            self.parallel = DistributedDataParallel(
                self.network, device_ids=ids, gradient_as_bucket_view=True, broadcast_buffers=False
            )
        # CUDA graphs, which this mode records, take the launches out of small steps; DDP's hooks cannot be recorded.
        mode = "reduce-overhead" if self.device.type == "cuda" and self.ranks.size == 1 else "default"
        self.compiled = torch.compile(self.parallel, mode=mode, dynamic=False) if compiled else None


def build_learner(
    recipe: Recipe, device: torch.device, precision: torch.dtype, ranks: Ranks, display: Display, compiled: bool = False
) -> Learner:
    """Model, optimizer and gradient scaler, the same on every rank."""
    network = build_model(recipe, device)
    optimizer = build_optimizer(network, recipe)
    # Only float16 needs loss scaling: bfloat16 has float32's range.
    scaler = torch.amp.GradScaler(device.type, enabled=precision is torch.float16)
    share = -(-recipe.batch_size // ranks.size)
    learner = Learner(recipe, network, optimizer, scaler, device, precision, ranks, display, share)
    learner.wrap(compiled)
    return learner
