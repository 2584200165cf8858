"""The trainer against the reference script, one CPU thread, in the image: steps in turn, and both accuracies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from launcher.progress import Progress
from launcher.setup.build import build_image
from launcher.stacks import default_stack
from tests.bench.environments import ROOT
from tests.bench.figure import Figure, quiet

PROGRAM = "tests/bench/training_in_image.py"


def figures() -> Iterator[Figure]:
    image = build_image(default_stack(), "jupyter", Progress()).reference
    images = os.environ.get("CIFAR10_NPZ")
    where = ["--volume", f"{images}:/cifar10.npz:ro"] if images else []
    mounts = ["--volume", f"{ROOT}:/checkout:ro", *where]
    environment = [
        "--env",
        "OMP_NUM_THREADS=1",
        "--env",
        "PYTHONPATH=/checkout:/checkout/images",
        "--env",
        "PYTHONDONTWRITEBYTECODE=1",
    ]
    run = ["docker", "run", "--rm", "--network", "none", *mounts, *environment, image]
    result = json.loads(quiet(*run, "python3", f"/checkout/{PROGRAM}", *(["/cifar10.npz"] if images else [])))
    for name, row in result.items():
        what = f"trainer `{name}`, one CPU thread, batch {row['batch_size']} ({row['accuracy']})"
        against = "reference script's seconds an epoch"
        yield Figure(what, row["seconds"], "s", row["budget"], row["pairs"], row["reference_seconds"], against)
    if images:
        train = ["python3", "-m", "cifar10", "train", "--model", "fast", "--data", "/cifar10.npz", "--no-plots"]
        whole = json.loads(quiet(*run, *train, "--out", "/tmp/run").splitlines()[-1])
        accuracy, views = whole["test_accuracy"], whole["test_accuracy_six_views"]
        what = f"trainer `fast`, the whole run ({accuracy:.1%}, six views {views:.1%})"
        yield Figure(what, whole["cpu_seconds"], "s of CPU time", 480.0, 1)
