"""The `predict` command: what a trained checkpoint sees in image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cifar10.batches import move_to_device
from cifar10.checkpoint import Checkpoint, trained_learner
from cifar10.data import Bytes, Split
from cifar10.device import choose_precision
from cifar10.evaluation import find_checkpoint
from cifar10.folder import read_image
from cifar10.loop import batch_logits
from cifar10.settings import CLASSES, Settings
from cifar10.start import start


def predict(settings: Settings, paths: list[Path]) -> dict[str, Any]:
    """Classify image files with the checkpoint in --out (default: the newest in ./runs).

    The result's `predictions` hold one object a file: label, probability (0..1) and the probability of every class.
    """
    pixels = np.stack([read_image(path) for path in paths])
    checkpoint = find_checkpoint(settings)
    probabilities, device = classify(settings, checkpoint, pixels)
    predictions = [describe(path, row) for path, row in zip(paths, probabilities.tolist(), strict=True)]
    return {"predictions": predictions, "device": device.type, "checkpoint": str(checkpoint.path)}


def classify(settings: Settings, checkpoint: Checkpoint, pixels: Bytes) -> tuple[NDArray[np.float32], torch.device]:
    """Class probabilities (N, 10) of images uint8 (N, 32, 32, 3), and the device that computed them.

    Raises TrainerError when the device cannot be used, or the checkpoint does not fit the model.
    """
    ranks, display, device = start(settings.device)
    learner = trained_learner(checkpoint, device, choose_precision(settings.precision, device), ranks, display)
    data = move_to_device(Split(pixels, np.zeros(len(pixels), np.uint8)), device)
    rows = torch.arange(len(data), device=device)
    batches = batch_logits(learner, data, rows, augmented=checkpoint.recipe.six_views)
    probabilities = torch.cat([logits.softmax(1) for _, logits in batches])
    return probabilities.cpu().numpy(), device


def describe(path: Path, probabilities: list[float]) -> dict[str, Any]:
    """One file's prediction."""
    best = max(range(len(CLASSES)), key=probabilities.__getitem__)
    return {
        "file": str(path),
        "label": CLASSES[best],
        "probability": round(probabilities[best], 4),
        "classes": {name: round(value, 4) for name, value in zip(CLASSES, probabilities, strict=True)},
    }
