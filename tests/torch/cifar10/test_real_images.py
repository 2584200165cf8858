"""The real images, read from the .npz that CIFAR10_NPZ names: what they are, and the acceptance run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
import numpy as np

from tests.torch.cifar10.loading import load


@pytest.fixture
def path() -> Path:
    if not os.environ.get("CIFAR10_NPZ"):
        pytest.skip("CIFAR10_NPZ does not name an .npz of the real images")
    return Path(os.environ["CIFAR10_NPZ"])


def test_all_images_come_with_their_labels_in_red_green_blue(path: Path) -> None:
    """The channels' means as published for the training images, here over every tenth of them."""
    data = load(path)
    np.testing.assert_array_equal(np.bincount(data.train.labels), [5_000] * 10)
    np.testing.assert_array_equal(np.bincount(data.test.labels), [1_000] * 10)
    means = data.train.images[::10].mean((0, 1, 2)) / 255
    np.testing.assert_allclose(means, (0.4914, 0.4822, 0.4465), atol=5e-3)


def test_simple_reaches_62_percent_in_two_epochs(cli: Callable, path: Path) -> None:
    outcome = cli("train", "--data", path, "--epochs", "2", "--device", "cpu", "--out", "run")
    assert outcome.code == 0, outcome.stderr
    assert outcome.result["test_accuracy"] >= 0.62
