"""The acceptance run on the real images, read from the .npz that CIFAR10_NPZ names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")


def test_simple_reaches_62_percent_in_two_epochs(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.environ.get("CIFAR10_NPZ")
    if not path:
        pytest.skip("CIFAR10_NPZ does not name an .npz of the real images")
    outcome = cli("train", "--data", Path(path), "--epochs", "2", "--device", "cpu", "--out", "run")
    assert outcome.code == 0, outcome.stderr
    assert outcome.result["test_accuracy"] >= 0.62
