"""The `train` command: put device, data, model and checkpoint together, then run the epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from cifar10.batches import Resident, draw_epoch, move_to_device, normalise
from cifar10.checkpoint import INDEX, Checkpoint, Position, load_checkpoint, restore, save_checkpoint
from cifar10.data import Dataset, Split
from cifar10.device import choose_precision, start_clock
from cifar10.distributed import Ranks, any_rank, from_lead, lead_first, process_group
from cifar10.errors import StoppedError, TrainerError, UsageError
from cifar10.interrupt import StopRequest, signals_handled_by
from cifar10.learner import Learner, build_learner
from cifar10.loop import EpochState, evaluate, train_epoch
from cifar10.memory import prepare_step
from cifar10.models import WHITENING_IMAGES, FastNet
from cifar10.optimizers import freeze
from cifar10.plots import Outputs
from cifar10.records import run_directory, write_manifest, write_metrics
from cifar10.report import Display, clock
from cifar10.settings import Recipe, Settings
from cifar10.sources import load_dataset
from cifar10.start import start

# Called with the rows of metrics.csv so far.
AfterEpoch = Callable[[list[dict[str, float]]], None]
# Ranks must stop after the same step, so they agree on a signal every so many steps.
STEPS_BETWEEN_AGREEMENTS = 20
# Who stops a container kills it 10 seconds later.
IMAGES_WHEN_STOPPED = 2000
PHASES = {"train": "seconds", "evaluation": "evaluation_seconds"}


@dataclass(slots=True)
class Run:
    """A run in progress: `out` is where it writes."""

    settings: Settings
    learner: Learner
    dataset: Dataset
    train: Resident
    test: Resident
    out: Path
    position: Position
    outputs: Outputs | None


def train(settings: Settings, after_epoch: AfterEpoch | None = None) -> dict[str, Any] | None:
    """Train as the settings say and return the result object; None on every rank but the first.

    `after_epoch` is called on the first rank when an epoch is evaluated. Raises TrainerError.
    """
    begun = time.monotonic()
    ranks, display, device = start(settings.device, settings.deterministic)
    if settings.recipe(device.type).batch_size < ranks.size:
        cause = f"--batch-size {settings.batch_size} is too small for {ranks.size} processes"
        raise UsageError(cause, "give each process at least one image a step")
    with process_group(ranks, device):
        loading = time.monotonic()
        with lead_first(ranks):
            dataset = load_dataset(settings, display)
        seconds = {"data": time.monotonic() - loading}
        run = prepare(settings, ranks, display, device, dataset)
        seconds["compile"] = prepare_step(run.learner, run.train)
        stop = StopRequest()
        with signals_handled_by(stop.note):
            run_epochs(run, stop, after_epoch)
        result = finish(run, seconds, begun)
    return result if ranks.lead else None


def prepare(settings: Settings, ranks: Ranks, display: Display, device: torch.device, dataset: Dataset) -> Run:
    """Build the learner, or continue the checkpoint of the run's directory when --resume asks for it."""
    out = from_lead(ranks, run_directory(settings) if ranks.lead else None, device)
    checkpoint = load_checkpoint(out)
    if checkpoint and not settings.resume:
        raise UsageError(f"{out} already holds a run", "continue it with --resume auto, or give another --out")
    recipe, precision = settings.recipe(device.type), choose_precision(settings.precision, device)
    compiled = settings.compiles(recipe, device.type, len(dataset.train.labels))
    learner = build_learner(recipe, device, precision, ranks, display, compiled)
    if checkpoint:
        check_identity(checkpoint, recipe, dataset)
        restore(checkpoint, learner)
        where = checkpoint.position
        display.say(f"resuming {out} after epoch {where.epoch} and {where.running.step} steps")
    elif isinstance(learner.network, FastNet):
        cpu = torch.device("cpu")  # where every rank gets the same
        sample = move_to_device(Split(dataset.train.images[:WHITENING_IMAGES], dataset.train.labels[:1]), cpu)
        learner.network.whiten(normalise(sample.images, sample))
    position = checkpoint.position if checkpoint else Position()
    if ranks.lead:
        facts = {"precision": str(precision).removeprefix("torch."), "compiled": compiled, "data": dataset.source}
        facts |= {"recipe": asdict(recipe), "ranks": ranks.size, "resumed_from_epoch": position.epoch}
        write_manifest(out, settings, device, facts)
    train_images, test_images = move_to_device(dataset.train, device), move_to_device(dataset.test, device)
    outputs = Outputs(out, learner, position.epoch + 1) if settings.plots and ranks.lead else None
    return Run(settings, learner, dataset, train_images, test_images, out, position, outputs)


def check_identity(checkpoint: Checkpoint, recipe: Recipe, dataset: Dataset) -> None:
    """Raise UsageError when the checkpoint's run differs in anything that decides its loss curve."""
    saved = checkpoint.recipe.identity() | {"data": checkpoint.data}
    asked = recipe.identity() | {"data": dataset.fingerprint()}
    differing = [name for name in asked if saved.get(name) != asked[name]]
    if differing:
        what = ", ".join(f"{name.replace('_', '-')} {saved.get(name)} (now {asked[name]})" for name in differing)
        cause = f"the run in {checkpoint.path.parent} was started with {what}"
        raise UsageError(cause, "use the same arguments, or another --out")


def run_epochs(run: Run, stop: StopRequest, after_epoch: AfterEpoch | None = None) -> None:
    """Train and evaluate epoch after epoch, saving after each; a stop request saves at once and raises StoppedError."""
    position, learner, fingerprint = run.position, run.learner, run.dataset.fingerprint()
    while position.epoch < learner.recipe.epochs:
        # A compiled network would be compiled anew; there the rate, which is 0 by then, does the same.
        if learner.compiled is None and freeze(learner.network, position.epoch):
            learner.wrap(compiled=False)
        ended = train_one(run, stop)
        if ended:
            close_epoch(run)
        if learner.ranks.lead:
            save_checkpoint(run.out, learner, position, fingerprint)
            if ended and after_epoch:
                after_epoch(position.history)
        number = any_rank(learner.ranks, stop.number, learner.device)
        if number and position.epoch < learner.recipe.epochs:
            draw(run, IMAGES_WHEN_STOPPED)
            next_step = "continue with the same command and --resume auto"
            raise StoppedError(number, f"progress is saved in {run.out}", next_step)
    draw(run)


def draw(run: Run, most: int | None = None) -> None:
    """Draw the pictures on the first rank; the others wait: torchrun ends all when one has left with an error."""
    if run.outputs and run.position.history:
        run.outputs.draw(run.position, run.dataset, run.test, most)
    any_rank(run.learner.ranks, 0, run.learner.device)


def train_one(run: Run, stop: StopRequest) -> bool:
    """Train the running epoch with a progress bar; False when a signal stopped it early."""
    position, learner, recipe = run.position, run.learner, run.learner.recipe
    count = len(run.train)
    order = draw_epoch(count, recipe, position.epoch, learner.device)
    accuracy = f"accuracy {position.history[-1]['test_accuracy']:.2%}  " if position.history else ""
    first, begun = position.running.step, time.monotonic()

    with run.learner.display.bar(f"epoch {position.epoch + 1}/{recipe.epochs}", count) as bar:

        def after_step(steps: int) -> bool:
            rate = (steps - first) * recipe.batch_size / max(1e-9, time.monotonic() - begun)
            done = min(steps * recipe.batch_size, count)
            left = (count * (recipe.epochs - position.epoch) - done) / rate
            bar.update(done, f"{accuracy}{rate:,.0f} images/s  {clock(left)} left")
            if learner.ranks.size == 1:
                return stop.number != 0
            return steps % STEPS_BETWEEN_AGREEMENTS == 0 and any_rank(learner.ranks, stop.number, learner.device) != 0

        return train_epoch(learner, run.train, position.epoch, order, position.running, after_step)


def close_epoch(run: Run) -> None:
    """Evaluate, and turn the epoch's state into a row of metrics.csv and a line for the reader."""
    position, learner, count = run.position, run.learner, len(run.train)
    if not math.isfinite(position.running.loss_sum):
        cause = f"the training diverged: in epoch {position.epoch + 1} the loss is {position.running.loss_sum}"
        raise TrainerError(
            cause, f"give a smaller --learning-rate than {learner.recipe.learning_rate:g}, and another --out"
        )
    timer = start_clock(learner.device)
    test_loss, accuracy = evaluate(learner, run.test)
    row = {
        "epoch": position.epoch + 1,
        "train_loss": position.running.loss_sum / count,
        "test_loss": test_loss,
        "test_accuracy": accuracy,
        "seconds": round(position.running.seconds, 4),
        "evaluation_seconds": round(timer(), 4),
        "images_per_second": round(count / position.running.seconds, 1),
        "learning_rate": learner.optimizer.param_groups[0]["lr"],
    }
    position.history.append(row)
    position.epoch += 1
    position.running = EpochState()
    if learner.ranks.lead:
        write_metrics(run.out, position.history)
    if run.outputs:
        run.outputs.add_epoch(row)
    run.learner.display.say(describe(row, learner.recipe.epochs))


def describe(row: dict[str, float], epochs: int) -> str:
    """One epoch in one line."""
    return (
        f"epoch {row['epoch']}/{epochs}  train loss {row['train_loss']:.4f}  test loss {row['test_loss']:.4f}  "
        f"test accuracy {row['test_accuracy']:.2%}  {row['images_per_second']:,.0f} images/s  {row['seconds']:.1f} s"
    )


def finish(run: Run, seconds: dict[str, float], begun: float) -> dict[str, Any]:
    """The result object; `begun` is when the command did. What is tested with six views is said beside the rest."""
    history, learner = run.position.history, run.learner
    phases = seconds | {"outputs": run.outputs.seconds if run.outputs else 0.0}
    phases |= {name: sum(row[column] for row in history) for name, column in PHASES.items()}
    result = {
        **{name: history[-1][name] for name in ("test_accuracy", "test_loss", "train_loss")},
        "images_per_second": round(len(history) * len(run.train) / phases["train"], 1),
        "device": learner.device.type,
        "epochs": run.position.epoch,
        "seconds": round(time.monotonic() - begun, 3),
        **{f"{name}_seconds": round(value, 3) for name, value in phases.items()},
        "ranks": learner.ranks.size,
        "model": learner.recipe.model,
        "data": "synthetic" if run.settings.synthetic else "images",
        "checkpoint": str(run.out / INDEX),
    }
    if learner.recipe.six_views:
        result["test_accuracy_six_views"] = evaluate(learner, run.test, augmented=True)[1]
        run.learner.display.say(f"test accuracy, six views of each image: {result['test_accuracy_six_views']:.2%}")
    if learner.device.type == "cuda":
        result["peak_memory_bytes"] = torch.cuda.max_memory_allocated(learner.device)
    return result
