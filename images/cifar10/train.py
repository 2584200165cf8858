"""The `train` command: put device, data, model and checkpoint together, then run the epochs."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from cifar10.batches import Resident, draw_epoch, move_to_device, normalise
from cifar10.checkpoint import INDEX, Checkpoint, Position, load_checkpoint, restore, save_checkpoint
from cifar10.data import Dataset, Split
from cifar10.device import Process, start, start_clock
from cifar10.distributed import any_rank, from_lead, lead_first, process_group
from cifar10.errors import DivergedError, StoppedError, StopRequest, UsageError, signals_handled_by
from cifar10.learner import Learner, build_learner
from cifar10.loop import EpochState, evaluate, train_epoch
from cifar10.memory import prepare_step
from cifar10.models import WHITENING_IMAGES, FastNet
from cifar10.optimizers import freeze
from cifar10.plots import Outputs
from cifar10.records import new_run, run_directory, write_manifest, write_metrics
from cifar10.report import clock
from cifar10.settings import Recipe, Settings
from cifar10.sources import load_dataset

# Called with the rows of metrics.csv so far.
AfterEpoch = Callable[[list[dict[str, float]]], None]
# Ranks must stop after the same step, so they agree on a signal every so many steps.
STEPS_BETWEEN_AGREEMENTS = 20
# Who stops a container kills it 10 seconds later.
IMAGES_WHEN_STOPPED = 2000
REPEATED = ("test_accuracy", "test_accuracy_six_views", "train_seconds", "images_per_second")


@dataclass(slots=True)
class Run:
    """A run in progress: `out` is where it writes."""

    learner: Learner
    dataset: Dataset
    train: Resident
    test: Resident
    out: Path
    position: Position
    outputs: Outputs


def train(settings: Settings, after_epoch: AfterEpoch | None = None) -> dict[str, Any] | None:
    """Train as the settings say and return the result object; None on every rank but the first.

    `after_epoch` is called on the first rank when an epoch is evaluated. Raises TrainerError.
    """
    begun = time.monotonic()
    process = start(settings.device, settings.precision, settings.deterministic)
    recipe = settings.recipe(process.device.type)
    if recipe.batch_size < process.ranks.size:
        cause = f"--batch-size {settings.batch_size} is too small for {process.ranks.size} processes"
        raise UsageError(cause, "give each process at least one image a step")
    with process_group(process.ranks, process.device):
        loading = time.monotonic()
        with lead_first(process.ranks):
            dataset = load_dataset(settings, process.display)
        seconds = {"data": time.monotonic() - loading}
        run = prepare(settings, recipe, process, dataset)
        seconds["compile"] = prepare_step(run.learner, run.train)
        stop = StopRequest()
        with signals_handled_by(stop.note):
            run_epochs(run, stop, after_epoch)
        result = finish(run, seconds, begun)
    return result if process.ranks.lead else None


def repeat(settings: Settings) -> dict[str, Any] | None:
    """Train `settings.repeat` times, each with the next seed and in a directory of its own below the run's.

    The result is the last run's, with mean and standard deviation over all of them.
    """
    out = settings.out or new_run(settings)
    seeds = range(settings.seed, settings.seed + settings.repeat)
    results = [train(replace(settings, seed=seed, out=out / f"seed-{seed}")) for seed in seeds]
    rows, spread = [result for result in results if result], {"runs": len(seeds)}
    for name in REPEATED:
        values = [row[name] for row in rows if name in row]
        if len(values) > 1:
            spread |= {f"{name}_mean": fmean(values), f"{name}_deviation": stdev(values)}
    return rows[-1] | {"repeat": spread} if rows else None


def prepare(settings: Settings, recipe: Recipe, process: Process, dataset: Dataset) -> Run:
    """Build the learner, or continue the checkpoint of the run's directory when --resume asks for it."""
    ranks, device = process.ranks, process.device
    out = from_lead(ranks, run_directory(settings) if ranks.lead else None)
    checkpoint = load_checkpoint(out)
    if checkpoint and not settings.resume:
        raise UsageError(f"{out} already holds a run", "continue it with --resume auto, or give another --out")
    compiled = settings.compiles(recipe, device.type, len(dataset.train.labels))
    learner = build_learner(recipe, process, compiled)
    position = checkpoint.position if checkpoint else Position()
    if checkpoint:
        check_identity(checkpoint, recipe, dataset)
        restore(checkpoint, learner)
        process.display.say(f"resuming {out} after epoch {position.epoch} and {position.running.step} steps")
    elif isinstance(learner.network, FastNet):
        cpu = torch.device("cpu")  # where every rank gets the same
        sample = move_to_device(Split(dataset.train.images[:WHITENING_IMAGES], dataset.train.labels[:1]), cpu)
        learner.network.whiten(normalise(sample.images, sample))
    if ranks.lead:
        precision = str(process.precision).removeprefix("torch.")
        facts = {"precision": precision, "compiled": compiled, "data": dataset.source, "recipe": asdict(recipe)}
        write_manifest(out, settings, device, facts | {"ranks": ranks.size, "resumed_from_epoch": position.epoch})
    train_images, test_images = move_to_device(dataset.train, device), move_to_device(dataset.test, device)
    outputs = Outputs(out, learner, position.epoch + 1, enabled=settings.plots and ranks.lead)
    return Run(learner, dataset, train_images, test_images, out, position, outputs)


def check_identity(checkpoint: Checkpoint, recipe: Recipe, dataset: Dataset) -> None:
    """Raise UsageError when the checkpoint's run differs in anything that decides its loss curve."""
    saved = checkpoint.recipe.identity() | {"data": checkpoint.record["data"]}
    asked = recipe.identity() | {"data": dataset.fingerprint()}
    differing = [name for name in asked if saved.get(name) != asked[name]]
    if differing:
        what = ", ".join(f"{name.replace('_', '-')} {saved.get(name)} (now {asked[name]})" for name in differing)
        cause = f"the run in {checkpoint.path.parent} was started with {what}"
        raise UsageError(cause, "use the same arguments, or another --out")


def run_epochs(run: Run, stop: StopRequest, after_epoch: AfterEpoch | None = None) -> None:
    """Train and evaluate epoch after epoch, saving after each; a stop request saves at once and raises StoppedError."""
    position, learner, ranks = run.position, run.learner, run.learner.process.ranks
    fingerprint = run.dataset.fingerprint()
    while position.epoch < learner.recipe.epochs:
        # A compiled network would be compiled anew; there the rate, which is 0 by then, does the same.
        if learner.compiled is None and freeze(learner.network, position.epoch):
            learner.wrap(compiled=False)
        ended = train_one(run, stop)
        if ended:
            close_epoch(run)
        if ranks.lead:
            save_checkpoint(run.out, learner, position, fingerprint)
            if ended and after_epoch:
                after_epoch(position.history)
        number = any_rank(ranks, stop.number)
        if number and position.epoch < learner.recipe.epochs:
            draw(run, IMAGES_WHEN_STOPPED)
            next_step = "continue with the same command and --resume auto"
            raise StoppedError(number, f"progress is saved in {run.out}", next_step)
    draw(run)


def draw(run: Run, most: int | None = None) -> None:
    """Draw the pictures on the first rank; the others wait: torchrun ends all when one has left with an error."""
    run.outputs.draw(run.position, run.dataset, most)
    any_rank(run.learner.process.ranks, 0)


def train_one(run: Run, stop: StopRequest) -> bool:
    """Train the running epoch with a progress bar; False when a signal stopped it early."""
    position, learner, recipe = run.position, run.learner, run.learner.recipe
    count, ranks = len(run.train), learner.process.ranks
    order = draw_epoch(count, recipe, position.epoch, learner.process.device)
    accuracy = f"accuracy {position.history[-1]['test_accuracy']:.2%}  " if position.history else ""
    first, begun = position.running.step, time.monotonic()

    with learner.process.display.bar(f"epoch {position.epoch + 1}/{recipe.epochs}", count) as bar:

        def after_step(steps: int) -> bool:
            rate = (steps - first) * recipe.batch_size / max(1e-9, time.monotonic() - begun)
            done = min(steps * recipe.batch_size, count)
            left = (count * (recipe.epochs - position.epoch) - done) / rate
            bar.update(done, f"{accuracy}{rate:,.0f} images/s  {clock(left)} left")
            agreed = ranks.size == 1 or steps % STEPS_BETWEEN_AGREEMENTS == 0
            return agreed and any_rank(ranks, stop.number) != 0

        return train_epoch(learner, run.train, position.epoch, order, position.running, after_step)


def close_epoch(run: Run) -> None:
    """Evaluate, and turn the epoch's state into a row of metrics.csv and a line for the reader."""
    position, learner, count = run.position, run.learner, len(run.train)
    recipe, process, running = learner.recipe, learner.process, position.running
    if not math.isfinite(running.loss_sum):
        cause = f"the training diverged: in epoch {position.epoch + 1} the loss is {running.loss_sum}"
        raise DivergedError(cause, f"give a smaller --learning-rate than {recipe.learning_rate:g}, and another --out")
    timer = start_clock(process.device)
    test_loss, accuracy = evaluate(learner, run.test)
    row = {
        "epoch": position.epoch + 1,
        "train_loss": running.loss_sum / count,
        "test_loss": test_loss,
        "test_accuracy": accuracy,
        "seconds": round(running.seconds, 4),
        "evaluation_seconds": round(timer(), 4),
        "images_per_second": round(count / running.seconds, 1),
        "learning_rate": learner.optimizer.param_groups[0]["lr"],
    }
    position.history.append(row)
    position.epoch, position.running = position.epoch + 1, EpochState()
    if process.ranks.lead:
        write_metrics(run.out, position.history)
    run.outputs.add_epoch(row)
    process.display.say(
        f"epoch {row['epoch']}/{recipe.epochs}  train loss {row['train_loss']:.4f}  test loss {test_loss:.4f}  "
        f"test accuracy {accuracy:.2%}  {row['images_per_second']:,.0f} images/s  {row['seconds']:.1f} s"
    )


def finish(run: Run, seconds: dict[str, float], begun: float) -> dict[str, Any]:
    """The result object; `begun` is when the command did. What is tested with six views is said beside the rest."""
    history, learner, device = run.position.history, run.learner, run.learner.process.device
    result = {name: history[-1][name] for name in ("test_accuracy", "test_loss", "train_loss")}
    timer = start_clock(device)
    if learner.recipe.six_views:
        accuracy = result["test_accuracy_six_views"] = evaluate(learner, run.test, augmented=True)[1]
        learner.process.display.say(f"test accuracy, six views of each image: {accuracy:.2%}")
    phases = seconds | {"outputs": run.outputs.seconds, "train": sum(row["seconds"] for row in history)}
    phases["evaluation"] = sum(row["evaluation_seconds"] for row in history) + timer()
    result |= {
        "images_per_second": round(len(history) * len(run.train) / phases["train"], 1),
        "device": device.type,
        "epochs": run.position.epoch,
        "seconds": round(time.monotonic() - begun, 3),
        "cpu_seconds": round(time.process_time(), 3),
        **{f"{name}_seconds": round(value, 3) for name, value in phases.items()},
        "ranks": learner.process.ranks.size,
        "model": learner.recipe.model,
        "data": "synthetic" if run.dataset.source == "synthetic" else "images",
        "checkpoint": str(run.out / INDEX),
    }
    if device.type == "cuda":
        result["peak_memory_bytes"] = torch.cuda.max_memory_allocated(device)
    return result
