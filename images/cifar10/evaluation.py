"""The `eval` command: the accuracy of a checkpoint on the test images."""

from __future__ import annotations

from typing import Any

from cifar10.batches import move_to_device
from cifar10.checkpoint import INDEX, Checkpoint, load_checkpoint, trained_learner
from cifar10.device import choose_precision, start_clock
from cifar10.distributed import lead_first, process_group
from cifar10.errors import UsageError
from cifar10.loop import evaluate
from cifar10.records import newest_run
from cifar10.settings import Settings
from cifar10.sources import load_dataset
from cifar10.start import start


def evaluate_command(settings: Settings) -> dict[str, Any] | None:
    """Evaluate the checkpoint in --out (default: the newest in ./runs); None on every rank but the first."""
    ranks, display, device = start(settings.device)
    with process_group(ranks, device):
        checkpoint = find_checkpoint(settings)
        recipe = checkpoint.recipe
        precision = choose_precision(settings.precision, device)
        learner = trained_learner(checkpoint, device, precision, ranks, display)
        with lead_first(ranks):
            dataset = load_dataset(settings, display)
        test, clock = move_to_device(dataset.test, device), start_clock(device)
        loss, accuracy = evaluate(learner, test)
        seconds = clock()
        views = {"test_accuracy_six_views": evaluate(learner, test, augmented=True)[1]} if recipe.six_views else {}
    result = {
        "test_accuracy": accuracy,
        "test_loss": loss,
        "images_per_second": round(len(test) / seconds, 1),
        "device": device.type,
        "epochs": checkpoint.position.epoch,
        "seconds": round(seconds, 3),
        "model": recipe.model,
        "checkpoint": str(checkpoint.path),
    }
    return result | views if ranks.lead else None


def find_checkpoint(settings: Settings) -> Checkpoint:
    """The checkpoint in --out or of the newest run. Raises UsageError when there is none, or it is another model's."""
    directory = settings.out or newest_run(settings.model)
    if directory is None:
        raise UsageError("there is no run in ./runs", "train first, or name the run's directory with --out")
    checkpoint = load_checkpoint(directory)
    if checkpoint is None:
        raise UsageError(f"{directory / INDEX} does not exist", "train first, or name the run's directory with --out")
    model = checkpoint.recipe.model
    if settings.model not in (None, model):
        raise UsageError(f"{directory} holds a {model} model, not {settings.model}", "leave out --model")
    return checkpoint
