# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""Batches: one gather against a plain numpy loop, the same draw on every rank, nothing lost or repeated."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
import numpy as np
from cifar10.batches import (
    DEVIATION,
    MEAN,
    EpochOrder,
    averaged,
    crop_and_flip,
    draw_epoch,
    move_to_device,
    rank_positions,
    take_batch,
)
from cifar10.data import Split
from cifar10.distributed import Process
from cifar10.settings import RECIPES, Recipe

CPU = torch.device("cpu")
MAX_SHIFT = 4
AUGMENTED = Recipe("simple", 1, 64, 1e-3, flip="random", shift=MAX_SHIFT)


@pytest.fixture
def split(arrays: dict[str, Any]) -> Split:
    return Split(arrays["x_train"], arrays["y_train"])


def test_crop_and_flip_equals_padding_cutting_and_mirroring(split: Split) -> None:
    generator = np.random.default_rng(1)
    rows = generator.permutation(200)
    shifts = generator.integers(-MAX_SHIFT, MAX_SHIFT + 1, (200, 2))
    flips = generator.random(200) < 0.5
    pad = ((MAX_SHIFT, MAX_SHIFT), (MAX_SHIFT, MAX_SHIFT), (0, 0))
    expected = []
    for row, (dy, dx), flip in zip(rows, shifts, flips, strict=True):
        padded = np.pad(split.images[row], pad, mode="reflect")
        cut = padded[MAX_SHIFT + dy : MAX_SHIFT + dy + 32, MAX_SHIFT + dx : MAX_SHIFT + dx + 32]
        expected.append(cut[:, ::-1] if flip else cut)
    actual = crop_and_flip(*(torch.from_numpy(a) for a in (split.images, rows, shifts, flips)))
    np.testing.assert_array_equal(actual.numpy(), np.stack(expected))


def test_batch_is_normalised_and_channels_last(split: Split) -> None:
    data = move_to_device(split, CPU)
    images, labels = take_batch(data, EpochOrder(torch.arange(513)), slice(10, 74))
    expected = (split.images[10:74].astype(np.float64) - MEAN) / DEVIATION
    np.testing.assert_allclose(images.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)
    np.testing.assert_array_equal(labels.numpy(), split.labels[10:74])
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images.dtype == torch.float32


def test_epochs_differ_and_repeat_with_the_seed() -> None:
    one, again, later = (draw_epoch(100, AUGMENTED, epoch, CPU) for epoch in (0, 0, 1))
    other_seed = draw_epoch(100, replace(AUGMENTED, seed=8), 0, CPU)
    assert torch.equal(one.rows, again.rows)
    assert torch.equal(one.shifts, again.shifts)
    assert torch.equal(one.flips, again.flips)
    assert not torch.equal(one.rows, later.rows)
    assert not torch.equal(one.rows, other_seed.rows)
    assert sorted(one.rows.tolist()) == list(range(100))


def test_alternating_flips_mirror_every_image_in_every_other_epoch() -> None:
    fast = RECIPES["fast", "cpu"]
    orders = [draw_epoch(100, fast, epoch, CPU) for epoch in range(3)]
    by_image = [order.flips[order.rows.argsort()] for order in orders]
    assert torch.equal(by_image[0], ~by_image[1]) and torch.equal(by_image[0], by_image[2])
    assert 30 < int(by_image[0].sum()) < 70
    assert orders[0].shifts.abs().max() == fast.shift


def test_six_views_are_the_image_its_two_neighbours_and_their_mirrors(split: Split) -> None:
    images = torch.from_numpy(split.images[:3]).permute(0, 3, 1, 2).float()
    views: list[torch.Tensor] = []
    mean = averaged(lambda view: views.append(view) or torch.full((1,), 2.0 ** len(views)), images, six_views=True)
    assert torch.equal(views[0], images) and torch.equal(views[1], images.flip(3))
    assert torch.equal(views[2][:, :, 1:, 1:], images[:, :, :-1, :-1])
    assert torch.equal(views[4][:, :, :-1, :-1], images[:, :, 1:, 1:])
    assert mean == (2 + 4) / 4 + (8 + 16 + 32 + 64) / 8
    assert averaged(lambda view: view, images, six_views=False) is images


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("batch", [(0, 64), (64, 128), (512, 513)])
@pytest.mark.parametrize("most", [1, 7, 64])
def test_ranks_share_a_batch_without_gap_or_overlap(size: int, batch: tuple[int, int], most: int) -> None:
    positions = list(range(513))
    pieces = [
        [positions[piece] for piece in rank_positions(*batch, Process(CPU, rank=rank, size=size), most)]
        for rank in range(size)
    ]
    assert all(1 <= len(piece) <= most for share in pieces for piece in share)
    shares = [list(itertools.chain(*share)) for share in pieces]
    assert sorted(itertools.chain(*shares)) == list(range(*batch))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_first_part_of_fasts_epochs_on_a_cpu_is_trained_on_smaller_images(split: Split) -> None:
    fast, data = RECIPES["fast", "cpu"], move_to_device(split, CPU)
    sides = [take_batch(data, draw_epoch(513, fast, epoch, CPU), slice(0, 2))[0].shape[2:] for epoch in range(8)]
    assert sides == [(24, 24)] * 4 + [(32, 32)] * 4
