"""Batches without a loader: the whole data set lies on the device as uint8, and a batch is one gather."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cifar10.data import Split
from cifar10.distributed import Process
from cifar10.settings import Recipe

# Channel means and standard deviations of the training images, in units of the pixel values 0..255.
MEAN = (0.4914 * 255, 0.4822 * 255, 0.4465 * 255)
DEVIATION = (0.2470 * 255, 0.2435 * 255, 0.2616 * 255)
SIDE, REDUCED_SIDE = 32, 24


@dataclass(frozen=True, slots=True)
class Resident:
    """Images uint8 (N, 32, 32, 3), labels int64 (N,), mean and scale float32 (1, 3, 1, 1), all on the device."""

    images: Tensor
    labels: Tensor
    mean: Tensor
    scale: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class EpochOrder:
    """One epoch's permutation (N,); each position's shift (N, 2) in pixels and flip (N,), if any; its images' side."""

    rows: Tensor
    shifts: Tensor | None = None
    flips: Tensor | None = None
    side: int = SIDE


def move_to_device(split: Split, device: torch.device) -> Resident:
    """Copy one split to the device once, for the whole run."""
    # The constants too: made anew for each batch they would cost a copy, and on CUDA a synchronisation, a step.
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels).long()
    return Resident(*(tensor.to(device) for tensor in (images, labels, mean, 1 / deviation)))


def draw_epoch(count: int, recipe: Recipe, epoch: int, device: torch.device) -> EpochOrder:
    """Draw everything random of one epoch (from 0) at once, from the recipe's seed and the epoch alone.

    It is drawn on the CPU and for all ranks, so every device, any number of ranks and a resumed run see the same.
    """
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    rows = torch.randperm(count, generator=generator)
    if recipe.flip == "none":
        return EpochOrder(rows.to(device))
    shifts = torch.randint(-recipe.shift, recipe.shift + 1, (count, 2), generator=generator)
    if recipe.flip == "alternating":  # by image: half of them at first, the other half in the next epoch
        first = torch.rand(count, generator=torch.Generator().manual_seed(recipe.seed)) < 0.5
        flips = first[rows] ^ bool(epoch % 2)
    else:
        flips = torch.rand(count, generator=generator) < 0.5
    side = REDUCED_SIDE if epoch < recipe.epochs * recipe.reduced else SIDE
    return EpochOrder(rows.to(device), shifts.to(device), flips.to(device), side)


def take_batch(data: Resident, order: EpochOrder, positions: slice) -> tuple[Tensor, Tensor]:
    """The images float32 (B, 3, S, S), normalised and channels_last, and labels int64 (B,) at these positions."""
    rows = order.rows[positions]
    if order.shifts is None or order.flips is None:
        pixels = data.images[rows]
    else:
        pixels = crop_and_flip(data.images, rows, order.shifts[positions], order.flips[positions])
    images = normalise(pixels, data)
    if order.side != SIDE:
        images = functional.interpolate(images, size=(order.side, order.side), mode="bilinear", antialias=True)
    return images.contiguous(memory_format=torch.channels_last), data.labels[rows]


def rank_positions(start: int, stop: int, process: Process, most: int) -> list[slice]:
    """This rank's share of the global batch at start..stop, equal but for one image, in pieces of `most` or fewer."""
    rank, size, stride = process.rank, process.size, process.size * most
    return [slice(first, min(first + stride, stop), size) for first in range(start + rank, stop, stride)]


def crop_and_flip(images: Tensor, rows: Tensor, shifts: Tensor, flips: Tensor) -> Tensor:
    """Shifted and mirrored copies (B, 32, 32, 3) of the images at `rows`, edges reflected, by one gather."""
    moved = (torch.arange(SIDE, device=images.device) + shifts[:, :, None]).abs()
    y, x = torch.where(moved < SIDE, moved, 2 * (SIDE - 1) - moved).unbind(1)
    x = torch.where(flips[:, None], x.flip(1), x)
    return images[rows[:, None, None], y[:, :, None], x[:, None, :]]


def normalise(pixels: Tensor, data: Resident) -> Tensor:
    """uint8 (B, 32, 32, 3) -> float32 (B, 3, 32, 32) of mean 0 and deviation 1; the layout stays channels_last."""
    return pixels.permute(0, 3, 1, 2).float().sub_(data.mean).mul_(data.scale)


def averaged(forward: Callable[[Tensor], Tensor], images: Tensor, six_views: bool) -> Tensor:
    """`forward` of the images (B, 3, 32, 32), or its weighted mean over the six views of test-time augmentation."""
    if not six_views:
        return forward(images)
    padded = functional.pad(images, (1, 1, 1, 1), "reflect")  # to move them by a pixel either way along the diagonal
    moved = [padded[:, :, start : start + SIDE, start : start + SIDE] for start in (0, 2)]
    views = ((images, 0.25), (moved[0], 0.125), (moved[1], 0.125))
    return sum(forward(side) * weight for view, weight in views for side in (view, view.flip(3)))
