"""Run in the image by training.py: CPU seconds for an epoch, ours and the reference script's, in turn. JSON on stdout.

The reference script is what a tutorial shows: torchvision data, a DataLoader, float32. One epoch of each tells the
accuracies; the times are those of STEPS steps of each in turn, scaled to an epoch.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from cifar10.batches import draw_epoch, move_to_device
from cifar10.data import Dataset, read_npz, synthetic
from cifar10.device import choose_precision
from cifar10.distributed import Ranks
from cifar10.learner import build_learner
from cifar10.limits import keep_freed_memory
from cifar10.loop import EpochState, evaluate, train_epoch, train_share
from cifar10.report import Display
from cifar10.settings import RECIPES
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

PAIRS, STEPS, BATCH, CPU = 9, 100, 64, torch.device("cpu")


def reference_network() -> nn.Module:
    first, second = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
    pool = [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(first, *pool, second, *pool, nn.Flatten(), nn.Linear(64 * 8 * 8, 10))


def reference_loader(dataset: Dataset, train: bool) -> DataLoader:
    """torchvision's own class over arrays that are already in memory, as it holds them after loading."""
    split = dataset.train if train else dataset.test
    own = datasets.CIFAR10.__new__(datasets.CIFAR10)
    own.data, own.targets = split.images, split.labels.tolist()
    normalise = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    own.transform, own.target_transform = transforms.Compose([transforms.ToTensor(), normalise]), None
    return DataLoader(own, BATCH, shuffle=train)


def reference_steps(network: nn.Module, loader: DataLoader) -> Iterator[None]:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    network.train()
    for images, labels in loader:
        optimizer.zero_grad()
        functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        yield


def our_steps(dataset: Dataset) -> Iterator[None]:
    recipe = RECIPES["simple", "cpu"]
    learner = build_learner(recipe, CPU, choose_precision("auto", CPU), Ranks(), Display())
    data = move_to_device(dataset.train, CPU)
    order = draw_epoch(len(data), recipe, 0, CPU)
    learner.network.train()
    for start in range(0, len(data), BATCH):
        train_share(learner, data, order, start, min(start + BATCH, len(data)))
        yield


def seconds(steps: Iterator[None], count: int) -> float:
    begun = time.process_time()
    for _ in range(count):
        next(steps)
    return time.process_time() - begun


def in_turn(first: Callable[[], Iterator[None]], second: Callable[[], Iterator[None]]) -> list[tuple[float, float]]:
    """CPU seconds of STEPS steps of each; both go on from pair to pair, and start anew at an epoch's end."""
    running, pairs = (first(), second()), []
    for _ in range(PAIRS + 1):
        pairs.append(tuple(seconds(steps, STEPS) for steps in running))
        if len(pairs) % 5 == 0:
            running = (first(), second())
    return pairs[1:]  # the first one warms up


def accuracies(dataset: Dataset) -> tuple[float, float]:
    """Test accuracy after one epoch: ours, the reference's."""
    recipe = replace(RECIPES["simple", "cpu"], epochs=1)
    learner = build_learner(recipe, CPU, choose_precision("auto", CPU), Ranks(), Display())
    data = move_to_device(dataset.train, CPU)
    train_epoch(learner, data, 0, draw_epoch(len(data), recipe, 0, CPU), EpochState(), lambda _: False)
    ours = evaluate(learner, move_to_device(dataset.test, CPU))[1]
    torch.manual_seed(0)
    network = reference_network()
    for _ in reference_steps(network, reference_loader(dataset, train=True)):
        pass
    network.eval()
    with torch.inference_mode():
        right = [
            (network(images).argmax(1) == labels).sum() for images, labels in reference_loader(dataset, train=False)
        ]
    return ours, float(sum(right)) / len(dataset.test.labels)


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    torch.manual_seed(0)
    dataset = Dataset(*read_npz(Path(sys.argv[1])), "npz") if len(sys.argv) > 1 else synthetic()
    ours, theirs = accuracies(dataset)
    pairs = in_turn(
        lambda: our_steps(dataset), lambda: reference_steps(reference_network(), reference_loader(dataset, True))
    )
    scale = len(dataset.train.labels) / (STEPS * BATCH)
    told = f"after one epoch {ours:.1%}, reference {theirs:.1%}; {'real' if len(sys.argv) > 1 else 'invented'} images"
    ratios = sorted(mine / reference for mine, reference in pairs)
    print(f"ratios {[round(1 / ratio, 2) for ratio in ratios]}", file=sys.stderr)
    reference = statistics.median(reference for _, reference in pairs)
    row = {"batch_size": BATCH, "accuracy": told, "pairs": PAIRS, "budget": round(1 / 3, 3)}
    row |= {"reference_seconds": reference * scale, "seconds": statistics.median(ratios) * reference * scale}
    print(json.dumps({"simple": row}))


if __name__ == "__main__":
    main()
