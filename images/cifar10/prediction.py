"""The `predict` command: what a trained checkpoint sees in image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cifar10.batches import SIDE, move_to_device
from cifar10.checkpoint import Checkpoint, restore_network
from cifar10.data import Bytes, Split
from cifar10.device import choose_precision
from cifar10.errors import TrainerError
from cifar10.evaluation import find_checkpoint
from cifar10.loop import batch_logits, build_learner
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
    ranks, _, device = start(settings.device)
    learner = build_learner(settings, device, choose_precision(settings.precision, device), ranks)
    restore_network(checkpoint, learner)
    data = move_to_device(Split(pixels, np.zeros(len(pixels), np.uint8)), device)
    rows = torch.arange(len(data), device=device)
    probabilities = torch.cat([logits.softmax(1) for _, logits in batch_logits(learner, data, rows)])
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


def read_image(path: Path) -> Bytes:
    """The middle square of an image file, reduced to uint8 (32, 32, 3). Raises TrainerError naming the file."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            square = ImageOps.fit(ImageOps.exif_transpose(image).convert("RGB"), (SIDE, SIDE), Image.Resampling.BOX)
    except Exception as error:  # Pillow's decoders raise many unrelated types on damaged input
        raise TrainerError(
            f"{path}: is not a readable image ({error})", "give PNG, JPEG or other image files"
        ) from error
    return np.asarray(square, np.uint8)
