"""Run in the image by training.py: CPU seconds of an epoch, ours and the reference script's. JSON on stdout.

The reference script is what a tutorial shows: torchvision's data set, a DataLoader, float32. Each measurement is a
process of its own, ours and the reference's in turn; the accuracies are those of one whole epoch of each.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from cifar10.batches import draw_epoch, move_to_device
from cifar10.data import Dataset, read_npz, synthetic
from cifar10.device import choose_precision, keep_freed_memory
from cifar10.distributed import Process
from cifar10.loop import build_learner, evaluate, train_step
from cifar10.settings import RECIPES
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

PAIRS, WARM_UP, STEPS, BATCH, CPU = 9, 20, 150, 64, torch.device("cpu")


def reference(dataset: Dataset) -> Iterator[float]:
    """Nothing after each step of an epoch; at its end the test accuracy."""
    first, second = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
    pool = [nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(first, *pool, second, *pool, nn.Flatten(), nn.Linear(64 * 8 * 8, 10))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for images, labels in reference_loader(dataset, train=True):
        optimizer.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        yield 0.0
    with torch.inference_mode():
        rows = [(network(images).argmax(1) == labels).sum() for images, labels in reference_loader(dataset, False)]
    yield float(sum(rows)) / len(dataset.test.labels)


def reference_loader(dataset: Dataset, train: bool) -> DataLoader:
    """torchvision's own class over arrays that are already in memory, as it holds them after loading."""
    split = dataset.train if train else dataset.test
    own = datasets.CIFAR10.__new__(datasets.CIFAR10)
    own.data, own.targets = split.images, split.labels.tolist()
    normalise = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    own.transform, own.target_transform = transforms.Compose([transforms.ToTensor(), normalise]), None
    return DataLoader(own, BATCH, shuffle=train)


def ours(dataset: Dataset) -> Iterator[float]:
    """Nothing after each step of an epoch; at its end the test accuracy."""
    keep_freed_memory()
    recipe = RECIPES["simple", "cpu"]
    learner = build_learner(recipe, Process(CPU, choose_precision("auto", CPU)))
    data = move_to_device(dataset.train, CPU)
    order = draw_epoch(len(data), recipe, 0, CPU)
    learner.network.train()
    for start in range(0, len(data), BATCH):
        train_step(learner, data, order, start, min(start + BATCH, len(data)))
        yield 0.0
    yield evaluate(learner, move_to_device(dataset.test, CPU))[1]


def measure(name: str, what: str, images: list[str]) -> None:
    """Print `what`: the CPU seconds of an epoch, or its accuracy."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dataset = Dataset(*read_npz(Path(images[0])), "npz") if images else synthetic()
    steps = {"ours": ours, "reference": reference}[name](dataset)
    if what == "accuracy":
        print(list(steps)[-1])
        return
    for _ in range(WARM_UP):
        next(steps)
    begun = time.process_time()
    for _ in range(STEPS):
        next(steps)
    print((time.process_time() - begun) * len(dataset.train.labels) / (STEPS * BATCH))


def main(images: list[str]) -> None:
    """Measure in turn and print the figures."""

    def ask(name: str, what: str) -> float:
        done = subprocess.run([sys.executable, __file__, name, what, *images], stdout=subprocess.PIPE, check=True)
        return float(done.stdout)

    told = f"after one epoch {ask('ours', 'accuracy'):.1%}, reference {ask('reference', 'accuracy'):.1%}"
    pairs = [(ask("ours", "seconds"), ask("reference", "seconds")) for _ in range(PAIRS)]
    ratios = sorted(theirs / mine for mine, theirs in pairs)
    print(f"ratios {[round(ratio, 2) for ratio in ratios]}", file=sys.stderr)
    theirs = statistics.median(theirs for _, theirs in pairs)
    row = {"batch_size": BATCH, "accuracy": f"{told}; {'real' if images else 'invented'} images", "pairs": PAIRS}
    row |= {"budget": 1 / 3, "reference_seconds": theirs, "seconds": theirs / statistics.median(ratios)}
    print(json.dumps({"simple": row}))


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["reference"]):
        measure(sys.argv[1], sys.argv[2], sys.argv[3:])
    else:
        main(sys.argv[1:])
