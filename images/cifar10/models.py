"""The networks and their optimizers. A new model: a class here, a line in build_model, its recipes in settings.RECIPES.

Its `step_bytes` are what a CPU step in float32 takes at its peak for each image: measured, and half as much again.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar10.settings import Recipe

WHITENING_FILTERS, WHITENING_IMAGES = 24, 5000
WHITENING_EPSILON = 5e-4
# For one image and the summed loss, so these are multiplied by the batch size: our loss is a mean.
BIAS_RATE, HEAD_RATE, WEIGHT_DECAY = 0.053, 0.67, 2e-6
WHITENING_EPOCHS = 3
# Coefficients of the quintic iteration: https://kellerjordan.github.io/posts/muon/
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 3


class SimpleNet(nn.Module):
    """The reference network: two 3x3 convolutions and one linear layer, 60,362 parameters, 69-70 % at its plateau."""

    step_bytes = 650_000

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.linear = nn.Linear(64 * 8 * 8, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Float images (B, 3, 32, 32), normalised -> logits (B, 10)."""
        x = self.conv1(images)
        # Pool before relu: the output is the same (max and relu commute), and relu sees a quarter of the values.
        # On a CPU by a kernel that is faster for large sides; on a GPU it is not deterministic.
        x = functional.max_pool2d(x, 2) if x.is_cuda else functional.adaptive_max_pool2d(x, x.shape[-1] // 2)
        x = functional.relu(functional.max_pool2d(self.conv2(functional.relu(x)), 2))
        # The values stay in the order in which channels_last has them; the weights, of which there are few, are moved.
        weight = self.linear.weight.view(-1, 64, 8, 8).permute(0, 2, 3, 1).flatten(1)
        return functional.linear(x.permute(0, 2, 3, 1).flatten(1), weight, self.linear.bias)


class FastNet(nn.Module):
    """A short, wide network after Keller Jordan's airbench (https://arxiv.org/abs/2404.00498), written anew.

    A first convolution that decorrelates 2x2 patches and is not trained but for its bias; three groups of `widths`
    channels, each halving the side; then the largest value of each channel and a linear layer.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.whitening = nn.Parameter(torch.zeros(WHITENING_FILTERS, 3, 2, 2), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(WHITENING_FILTERS))
        pairs = zip((WHITENING_FILTERS, *widths), widths, strict=False)
        self.groups = nn.Sequential(*(_group(inputs, outputs) for inputs, outputs in pairs))
        self.head = nn.Linear(widths[-1], 10, bias=False)
        with torch.no_grad():
            self.head.weight /= self.head.weight.std()
        self.scale, self.step_bytes = 1 / widths[-1], 5_000 * sum(widths)

    def forward(self, images: Tensor) -> Tensor:
        """Float images (B, 3, S, S), normalised -> logits (B, 10)."""
        x = self.groups(functional.gelu(functional.conv2d(images, self.whitening, self.bias)))
        return self.head(x.amax((2, 3))) * self.scale

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the first convolution from normalised images (N, 3, S, S): some thousands are enough."""
        patches = functional.unfold(images, 2).transpose(1, 2).reshape(-1, 12)
        variances, components = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = components.T / (variances[:, None] + WHITENING_EPSILON).sqrt()  # what they find has variance 1
        self.whitening.copy_(torch.cat([filters, -filters]).view_as(self.whitening))


def _group(inputs: int, outputs: int) -> nn.Sequential:
    convolutions, norms = [], []
    for channels in (inputs, outputs):
        convolutions.append(nn.Conv2d(channels, outputs, 3, padding=1, bias=False))
        nn.init.dirac_(convolutions[-1].weight.data[:channels])  # the first channels pass their input on
        norms.append(nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4))
        norms[-1].weight.requires_grad_(False)
    first, second = convolutions
    return nn.Sequential(first, nn.MaxPool2d(2), norms[0], nn.GELU(), second, norms[1], nn.GELU())


def build_model(recipe: Recipe, device: torch.device) -> nn.Module:
    """The model as its seed initialises it on the CPU (the same weights on every device), moved to `device`."""
    torch.manual_seed(recipe.seed)
    network = FastNet(recipe.widths) if recipe.model == "fast" else SimpleNet()
    return network.to(device, memory_format=torch.channels_last)


class Muon(torch.optim.Optimizer):
    """Nesterov's momentum; in a group that is `orthogonal`, each filter bank (O, I, H, W) keeps a norm of sqrt(O)."""

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": 0.0, "momentum": 0.0, "weight_decay": 0.0, "orthogonal": False})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One step; parameters without a gradient stay."""
        for group in self.param_groups:
            for parameter in (parameter for parameter in group["params"] if parameter.grad is not None):
                state, gradient = self.state[parameter], parameter.grad
                if group["weight_decay"]:
                    gradient = gradient.add(parameter, alpha=group["weight_decay"])
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
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
    if not isinstance(network, FastNet):
        return torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True)
    trained = [p for p in network.groups.parameters() if p.requires_grad]

    def plain(parameters: list[nn.Parameter], rate: float) -> dict[str, Any]:
        scaled, decay = rate * recipe.batch_size, WEIGHT_DECAY / rate
        return {"params": parameters, "rate": scaled, "momentum": 0.85, "weight_decay": decay}

    filters = {"params": [p for p in trained if p.ndim == 4], "rate": recipe.learning_rate, "momentum": 0.6}
    biases, head = plain([p for p in trained if p.ndim == 1], BIAS_RATE), plain([network.head.weight], HEAD_RATE)
    first = plain([network.bias], BIAS_RATE) | {"epochs": WHITENING_EPOCHS}
    return Muon([filters | {"orthogonal": True}, biases, head, first])


def set_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, epochs: float) -> None:
    """The learning rates after so many epochs, parts of one counted: they fall to 0 where the recipe says so."""
    if recipe.decay:
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * max(0.0, 1 - epochs / group.get("epochs", recipe.epochs))
