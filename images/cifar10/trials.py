"""`train --repeat` and `train --find-batch`: several runs for a mean, and none for the best batch size."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

from cifar10.batches import move_to_device
from cifar10.device import choose_precision
from cifar10.errors import UsageError
from cifar10.learner import build_learner
from cifar10.memory import find_batch
from cifar10.records import new_run
from cifar10.settings import Settings
from cifar10.sources import load_dataset
from cifar10.start import start
from cifar10.train import train

REPEATED = ("test_accuracy", "test_accuracy_six_views", "train_seconds", "images_per_second")


def repeat(settings: Settings) -> dict[str, Any] | None:
    """Train `settings.repeat` times, each with the next seed and in a directory of its own below the run's.

    The result is the last run's, with mean and standard deviation over all of them.
    """
    out = settings.out or new_run(settings)
    seeds = range(settings.seed, settings.seed + settings.repeat)
    results = [train(replace(settings, seed=seed, out=out / f"seed-{seed}")) for seed in seeds]
    rows = [result for result in results if result]
    spread: dict[str, Any] = {"runs": len(seeds)}
    for name in REPEATED:
        values = [row[name] for row in rows if name in row]
        if len(values) > 1:
            spread |= {f"{name}_mean": fmean(values), f"{name}_deviation": stdev(values)}
    return rows[-1] | {"repeat": spread} if rows else None


def find_batch_command(settings: Settings) -> dict[str, Any]:
    """Measure growing batches instead of training; the result has one object a batch size, and the fastest."""
    ranks, display, device = start(settings.device)
    if ranks.size > 1:
        raise UsageError("--find-batch measures one GPU", "start it without torchrun")
    data = move_to_device(load_dataset(settings, display).train, device)
    precision = choose_precision(settings.precision, device)
    batches = find_batch(build_learner(settings.recipe(device.type), device, precision, ranks, display), data)
    fastest = max(batches, key=lambda row: row["images_per_second"])
    return {"fastest": fastest["batch_size"], "largest": batches[-1]["batch_size"], "batches": batches}
