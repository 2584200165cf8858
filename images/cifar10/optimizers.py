"""The optimizers and their rates. A rate depends on the step alone, so that a resumed run has nothing to restore."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from cifar10.models import FastNet
from cifar10.settings import Recipe

# For one image and the summed loss, so these are multiplied by the batch size: our loss is a mean.
BIAS_RATE, HEAD_RATE, WEIGHT_DECAY = 0.053, 0.67, 2e-6
WHITENING_EPOCHS = 3
# Coefficients of the quintic iteration: https://kellerjordan.github.io/posts/muon/
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 3


class Muon(torch.optim.Optimizer):
    """Nesterov's momentum; where a group is `orthogonal`, each filter bank's step is made orthogonal.

    Such a bank (O, I, H, W) is kept at a norm of the square root of O, and its weights do not decay.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": 0.0, "momentum": 0.0, "weight_decay": 0.0, "orthogonal": False})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One step; parameters without a gradient stay."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, parameter.grad, group)

    def _step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        state["momentum"].mul_(group["momentum"]).add_(gradient)
        step = gradient.add(state["momentum"], alpha=group["momentum"])
        if group["orthogonal"]:
            parameter.mul_(len(parameter) ** 0.5 / parameter.norm())
            step = orthogonalise(step.flatten(1)).view_as(step)
        parameter.add_(step, alpha=-group["lr"])


def orthogonalise(matrix: Tensor) -> Tensor:
    """A matrix of the same singular vectors whose singular values are all near 1, by Newton and Schulz's iteration."""
    a, b, c = QUINTIC
    x = matrix.bfloat16() if matrix.is_cuda else matrix
    x = x / (x.norm() + 1e-7)
    wide = x if len(x) <= x.shape[1] else x.T
    for _ in range(ITERATIONS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return (wide if len(x) <= x.shape[1] else wide.T).to(matrix.dtype)


def build_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Muon for fast; for every other Adam, fused: one kernel for all parameters."""
    if isinstance(network, FastNet):
        return Muon(_groups(network, recipe))
    return torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True)


def _groups(network: FastNet, recipe: Recipe) -> list[dict[str, Any]]:
    batch, trained = recipe.batch_size, [p for p in network.groups.parameters() if p.requires_grad]
    filters, biases = [p for p in trained if p.ndim == 4], [p for p in trained if p.ndim == 1]

    def plain(parameters: list[nn.Parameter], rate: float) -> dict[str, Any]:
        return {"params": parameters, "rate": rate * batch, "momentum": 0.85, "weight_decay": WEIGHT_DECAY / rate}

    return [
        {"params": filters, "rate": recipe.learning_rate, "momentum": 0.6, "orthogonal": True},
        plain(biases, BIAS_RATE),
        plain([network.head.weight], HEAD_RATE),
        plain([network.bias], BIAS_RATE) | {"epochs": WHITENING_EPOCHS},
    ]


def set_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, epochs: float) -> None:
    """The learning rates after so many epochs, parts of one counted: they fall to 0 where the recipe says so."""
    if recipe.decay:
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * max(0.0, 1 - epochs / group.get("epochs", recipe.epochs))


def freeze(network: nn.Module, epoch: int) -> bool:
    """Stop training what only the first epochs train, before `epoch` (from 0); whether that is new."""
    if not isinstance(network, FastNet) or epoch < WHITENING_EPOCHS or not network.bias.requires_grad:
        return False
    network.bias.requires_grad_(False)
    return True
