"""The networks. A new model: a class here, a line in build_model and its recipes in settings.RECIPES."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cifar10.settings import Recipe

WHITENING_FILTERS, WHITENING_IMAGES = 24, 5000
WHITENING_EPSILON = 5e-4


class SimpleNet(nn.Module):
    """The reference network: two 3x3 convolutions and one linear layer, 60,362 parameters, 69-70 % at its plateau."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.linear = nn.Linear(64 * 8 * 8, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Float images (B, 3, 32, 32), normalised -> logits (B, 10)."""
        # Pool before relu: the output is the same (max and relu commute), and relu sees a quarter of the values.
        x = functional.relu(_halve(self.conv1(images)))
        x = functional.relu(functional.max_pool2d(self.conv2(x), 2))
        # The values stay in the order in which channels_last has them; the weights, of which there are few, are moved.
        weight = self.linear.weight.view(-1, 64, 8, 8).permute(0, 2, 3, 1).flatten(1)
        return functional.linear(x.permute(0, 2, 3, 1).flatten(1), weight, self.linear.bias)


def _halve(x: Tensor) -> Tensor:
    """max_pool2d(x, 2). On a CPU by a kernel that is faster for large sides; on a GPU it is not deterministic."""
    return functional.max_pool2d(x, 2) if x.is_cuda else functional.adaptive_max_pool2d(x, x.shape[-1] // 2)


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
        self.scale = 1 / widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Float images (B, 3, S, S), normalised -> logits (B, 10)."""
        x = self.groups(functional.gelu(functional.conv2d(images, self.whitening, self.bias)))
        return self.head(x.amax((2, 3))) * self.scale

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the first convolution from normalised images (N, 3, S, S): some thousands are enough.

        Its filters are the principal components of their 2x2 patches, each of variance 1, and the negatives of these.
        """
        patches = functional.unfold(images, 2).transpose(1, 2).reshape(-1, 12)
        variances, components = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = components.T / (variances[:, None] + WHITENING_EPSILON).sqrt()
        self.whitening.copy_(torch.cat([filters, -filters]).view_as(self.whitening))


def _group(inputs: int, outputs: int) -> nn.Sequential:
    first, second = _conv(inputs, outputs), _conv(outputs, outputs)
    return nn.Sequential(first, nn.MaxPool2d(2), _norm(outputs), nn.GELU(), second, _norm(outputs), nn.GELU())


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight.data[:inputs])  # the first channels pass their input on
    return conv


def _norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm


def build_model(recipe: Recipe, device: torch.device) -> nn.Module:
    """The model as its seed initialises it on the CPU (the same weights on every device), moved to `device`."""
    torch.manual_seed(recipe.seed)
    network = FastNet(recipe.widths) if recipe.model == "fast" else SimpleNet()
    return network.to(device, memory_format=torch.channels_last)
