"""The `train` command: put device, data, model and checkpoint together, then run the epochs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cifar10.batches import Resident, draw_epoch, move_to_device
from cifar10.checkpoint import INDEX, Position, load_checkpoint, restore, save_checkpoint
from cifar10.data import Dataset
from cifar10.device import choose_precision
from cifar10.distributed import Ranks, any_rank, from_lead, lead_first, process_group
from cifar10.errors import StoppedError, UsageError
from cifar10.interrupt import StopRequest, stop_request
from cifar10.loop import EpochState, Learner, build_learner, evaluate, train_epoch
from cifar10.records import ranks_as_json, run_directory, write_manifest, write_metrics
from cifar10.report import Display, clock
from cifar10.settings import Settings
from cifar10.sources import load_dataset
from cifar10.start import start

# Called with the rows of metrics.csv so far.
AfterEpoch = Callable[[list[dict[str, float]]], None]
# Ranks must stop after the same step, so they agree on a signal every so many steps.
STEPS_BETWEEN_AGREEMENTS = 20


@dataclass(slots=True)
class Run:
    """A run in progress: `out` is where it writes, `identity` what a resumed run must share."""

    settings: Settings
    ranks: Ranks
    display: Display
    learner: Learner
    train: Resident
    test: Resident
    out: Path
    identity: dict[str, Any]
    position: Position


def train(settings: Settings, after_epoch: AfterEpoch | None = None) -> dict[str, Any] | None:
    """Train as the settings say and return the result object; None on every rank but the first.

    `after_epoch` is called on the first rank when an epoch is evaluated. Raises TrainerError.
    """
    ranks, display, device = start(settings.device)
    if settings.batch_size < ranks.size:
        cause = f"--batch-size {settings.batch_size} is too small for {ranks.size} processes"
        raise UsageError(cause, "give each process at least one image a step")
    begun = time.monotonic()
    with process_group(ranks, device):
        with lead_first(ranks):
            dataset = load_dataset(settings, display)
        run = prepare(settings, ranks, display, device, dataset)
        loaded = time.monotonic() - begun
        with stop_request() as stop:
            run_epochs(run, stop, after_epoch)
        result = finish(run, loaded, time.monotonic() - begun)
    return result if ranks.lead else None


def prepare(settings: Settings, ranks: Ranks, display: Display, device: torch.device, dataset: Dataset) -> Run:
    """Build the learner, or continue the checkpoint of the run's directory when --resume asks for it."""
    out = from_lead(ranks, run_directory(settings) if ranks.lead else None, device)
    checkpoint = load_checkpoint(out)
    if checkpoint and not settings.resume:
        raise UsageError(f"{out} already holds a run", "continue it with --resume auto, or give another --out")
    precision = choose_precision(settings.precision, device)
    learner = build_learner(settings, device, precision, ranks)
    identity = settings.curve() | {"data": dataset.fingerprint()}
    if checkpoint:
        check_identity(out, checkpoint.identity, identity)
        restore(checkpoint, learner)
        where = checkpoint.position
        display.say(f"resuming {out} after epoch {where.epoch} and {where.running.step} steps")
    position = checkpoint.position if checkpoint else Position()
    if ranks.lead:
        facts = {"precision": str(precision).removeprefix("torch."), "data": dataset.source, "identity": identity}
        write_manifest(out, settings, device, facts | ranks_as_json(ranks) | {"resumed_from_epoch": position.epoch})
    train_images, test_images = move_to_device(dataset.train, device), move_to_device(dataset.test, device)
    return Run(settings, ranks, display, learner, train_images, test_images, out, identity, position)


def check_identity(out: Path, saved: dict[str, Any], asked: dict[str, Any]) -> None:
    """Raise UsageError when the checkpoint's run differs in anything that decides its loss curve."""
    differing = [name for name in asked if saved.get(name) != asked[name]]
    if differing:
        what = ", ".join(f"{name.replace('_', '-')} {saved.get(name)} (now {asked[name]})" for name in differing)
        raise UsageError(f"the run in {out} was started with {what}", "use the same arguments, or another --out")


def run_epochs(run: Run, stop: StopRequest, after_epoch: AfterEpoch | None = None) -> None:
    """Train and evaluate epoch after epoch, saving after each; a stop request saves at once and raises StoppedError."""
    position = run.position
    while position.epoch < run.settings.epochs:
        ended = train_one(run, stop)
        if ended:
            close_epoch(run)
        if run.ranks.lead:
            save_checkpoint(run.out, run.learner, position, run.identity)
            if ended and after_epoch:
                after_epoch(position.history)
        number = any_rank(run.ranks, stop.number, run.learner.device)
        if number and position.epoch < run.settings.epochs:
            next_step = "continue with the same command and --resume auto"
            raise StoppedError(number, f"progress is saved in {run.out}", next_step)


def train_one(run: Run, stop: StopRequest) -> bool:
    """Train the running epoch with a progress bar; False when a signal stopped it early."""
    settings, position = run.settings, run.position
    device, count = run.learner.device, len(run.train)
    order = draw_epoch(count, settings.seed, position.epoch, settings.augment, device)
    label = f"epoch {position.epoch + 1}/{settings.epochs}"
    accuracy = f"accuracy {position.history[-1]['test_accuracy']:.2%}  " if position.history else ""
    first, begun = position.running.step, time.monotonic()

    with run.display.bar(label, count) as bar:

        def after_step(steps: int) -> bool:
            rate = (steps - first) * settings.batch_size / max(1e-9, time.monotonic() - begun)
            done = min(steps * settings.batch_size, count)
            left = (count * (settings.epochs - position.epoch) - done) / rate
            bar.update(done, f"{accuracy}{rate:,.0f} images/s  {clock(left)} left")
            if run.ranks.size == 1:
                return stop.number != 0
            return steps % STEPS_BETWEEN_AGREEMENTS == 0 and any_rank(run.ranks, stop.number, device) != 0

        return train_epoch(run.learner, run.train, order, settings.batch_size, run.ranks, position.running, after_step)


def close_epoch(run: Run) -> None:
    """Evaluate, and turn the epoch's state into a row of metrics.csv and a line for the reader."""
    position, count = run.position, len(run.train)
    test_loss, accuracy = evaluate(run.learner, run.test, run.ranks)
    row = {
        "epoch": position.epoch + 1,
        "train_loss": position.running.loss_sum / count,
        "test_loss": test_loss,
        "test_accuracy": accuracy,
        "seconds": round(position.running.seconds, 4),
        "images_per_second": round(count / position.running.seconds, 1),
        "learning_rate": run.learner.optimizer.param_groups[0]["lr"],
    }
    position.history.append(row)
    position.epoch += 1
    position.running = EpochState()
    if run.ranks.lead:
        write_metrics(run.out, position.history)
    run.display.say(describe(row, run.settings.epochs))


def describe(row: dict[str, float], epochs: int) -> str:
    """One epoch in one line."""
    return (
        f"epoch {row['epoch']}/{epochs}  train loss {row['train_loss']:.4f}  test loss {row['test_loss']:.4f}  "
        f"test accuracy {row['test_accuracy']:.2%}  {row['images_per_second']:,.0f} images/s  {row['seconds']:.1f} s"
    )


def finish(run: Run, load_seconds: float, seconds: float) -> dict[str, Any]:
    """The result object. `seconds` is this process's time from the first byte of data to here."""
    history, device = run.position.history, run.learner.device
    training = sum(row["seconds"] for row in history)
    result = {
        "test_accuracy": history[-1]["test_accuracy"],
        "test_loss": history[-1]["test_loss"],
        "train_loss": history[-1]["train_loss"],
        "images_per_second": round(len(history) * len(run.train) / training, 1),
        "device": device.type,
        "epochs": run.position.epoch,
        "seconds": round(seconds, 3),
        "data_seconds": round(load_seconds, 3),
        "train_seconds": round(training, 3),
        "ranks": run.ranks.size,
        "model": run.settings.model,
        "data": "synthetic" if run.settings.synthetic else "images",
        "checkpoint": str(run.out / INDEX),
    }
    if device.type == "cuda":
        result["peak_memory_bytes"] = torch.cuda.max_memory_allocated(device)
    return result
