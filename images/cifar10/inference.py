"""The `eval` and `predict` commands: how good a checkpoint is on the test images, and what it sees in image files."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cifar10.batches import move_to_device
from cifar10.checkpoint import INDEX, Checkpoint, load_checkpoint, trained_learner
from cifar10.data import Bytes, Split
from cifar10.device import start, start_clock
from cifar10.distributed import lead_first, process_group
from cifar10.errors import UsageError
from cifar10.folder import read_image
from cifar10.learner import Learner
from cifar10.loop import batch_logits, evaluate
from cifar10.records import newest_run
from cifar10.settings import CLASSES, Settings
from cifar10.sources import load_dataset

TRAIN_FIRST = "train first, or name the run's directory with --out"


def find_checkpoint(settings: Settings) -> Checkpoint:
    """The checkpoint in --out or of the newest run. Raises UsageError when there is none, or it is another model's."""
    directory = settings.out or newest_run(settings.model)
    if directory is None:
        raise UsageError("there is no run in ./runs", TRAIN_FIRST)
    checkpoint = load_checkpoint(directory)
    if checkpoint is None:
        raise UsageError(f"{directory / INDEX} does not exist", TRAIN_FIRST)
    model = checkpoint.recipe.model
    if settings.model not in (None, model):
        raise UsageError(f"{directory} holds a {model} model, not {settings.model}", "leave out --model")
    return checkpoint


def evaluate_command(settings: Settings) -> dict[str, Any] | None:
    """Evaluate the checkpoint in --out (default: the newest in ./runs); None on every rank but the first."""
    process = start(settings.device, settings.precision)
    with process_group(process.ranks, process.device):
        checkpoint = find_checkpoint(settings)
        learner = trained_learner(checkpoint, process)
        with lead_first(process.ranks):
            dataset = load_dataset(settings, process.display)
        test, clock = move_to_device(dataset.test, process.device), start_clock(process.device)
        loss, accuracy = evaluate(learner, test)
        seconds = clock()
        result = {
            "test_accuracy": accuracy,
            "test_loss": loss,
            "images_per_second": round(len(test) / seconds, 1),
            "device": process.device.type,
            "epochs": checkpoint.position.epoch,
            "seconds": round(seconds, 3),
            "model": checkpoint.recipe.model,
            "checkpoint": str(checkpoint.path),
        }
        if checkpoint.recipe.six_views:
            result["test_accuracy_six_views"] = evaluate(learner, test, augmented=True)[1]
    return result if process.ranks.lead else None


def predict(settings: Settings, paths: list[Path]) -> dict[str, Any]:
    """Classify image files with the checkpoint in --out (default: the newest in ./runs).

    The result's `predictions` hold one object a file: label, probability (0..1) and the probability of every class.
    """
    pixels = np.stack([read_image(path) for path in paths])
    checkpoint = find_checkpoint(settings)
    process = start(settings.device, settings.precision)
    probabilities = classify(trained_learner(checkpoint, process), pixels, checkpoint.recipe.six_views)
    predictions = []
    for path, row in zip(paths, probabilities.tolist(), strict=True):
        classes = {name: round(value, 4) for name, value in zip(CLASSES, row, strict=True)}
        label = CLASSES[row.index(max(row))]
        predictions.append({"file": str(path), "label": label, "probability": classes[label], "classes": classes})
    return {"predictions": predictions, "device": process.device.type, "checkpoint": str(checkpoint.path)}


def classify(learner: Learner, pixels: Bytes, augmented: bool = False) -> NDArray[np.float32]:
    """Class probabilities (N, 10) of images uint8 (N, 32, 32, 3), on one rank; `augmented` averages six views."""
    data = move_to_device(Split(pixels, np.zeros(len(pixels), np.uint8)), learner.process.device)
    rows = torch.arange(len(data), device=data.labels.device)
    logits = torch.cat([logits for _, logits in batch_logits(learner, data, rows, augmented)])
    return logits.softmax(1).cpu().numpy()
