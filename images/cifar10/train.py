"""The `train` command: put device, data, model and checkpoint together, then run the epochs."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
import torch.distributed as dist

from cifar10 import checkpoint
from cifar10.batches import Resident, move_to_device, normalise
from cifar10.data import Dataset
from cifar10.device import start, start_clock
from cifar10.distributed import Process, any_rank, lead_first, process_group
from cifar10.errors import DivergedError, StoppedError, UsageError, signals_noted
from cifar10.loop import Learner, Position, build_learner, evaluate, train_epoch
from cifar10.memory import prepare_step
from cifar10.models import WHITENING_IMAGES, FastNet
from cifar10.plots import Outputs
from cifar10.report import Bar, say
from cifar10.settings import Recipe, Settings
from cifar10.sources import load_dataset

# Ranks must stop after the same step, so they agree on a signal every so many steps.
STEPS_BETWEEN_AGREEMENTS = 20
IMAGES_WHEN_STOPPED = 2000  # who stops a container kills it ten seconds later
REPEATED = ("test_accuracy", "test_accuracy_six_views", "train_seconds", "images_per_second")


@dataclass(slots=True)
class Run:
    """A run in progress: `out` is where it writes; `phases` are the seconds of what is over."""

    learner: Learner
    dataset: Dataset
    train: Resident
    test: Resident
    out: Path
    position: Position
    outputs: Outputs
    phases: dict[str, float]


def train(settings: Settings, after_epoch: Callable[[list[dict[str, float]]], None] | None = None) -> dict | None:
    """Train as the settings say; the result, on the first rank. `after_epoch` gets the rows of metrics.csv so far."""
    begun = time.monotonic()
    process = start(settings.device, settings.precision, settings.deterministic)
    recipe = settings.recipe(process.device.type)
    if recipe.batch_size < process.size:
        cause = f"--batch-size {settings.batch_size} is too small for {process.size} processes"
        raise UsageError(cause, "give each process at least one image a step")
    with process_group(process):
        run = prepare(settings, recipe, process)
        with signals_noted() as signals:
            number = 0
            while run.position.epoch < recipe.epochs and not number:
                ended = train_one(run, signals)
                if ended:
                    close_epoch(run)
                if process.rank == 0:
                    checkpoint.save(run.out, run.learner, run.position, run.dataset.fingerprint)
                    if ended and after_epoch:
                        after_epoch(run.position.history)
                number = any_rank(process, sum(signals[:1]))
            run.outputs.draw(run.position, run.dataset, IMAGES_WHEN_STOPPED if number else None)
            any_rank(process, 0)  # wait for the drawing: torchrun ends all when one has left with an error
        if run.position.epoch < recipe.epochs:
            next_step = "continue with the same command and --resume auto"
            raise StoppedError(number, f"progress is saved in {run.out}", next_step)
        result = finish(run)
    return result | {"seconds": round(time.monotonic() - begun, 3)} if process.rank == 0 else None


def repeat(settings: Settings) -> dict[str, Any] | None:
    """Train with `settings.repeat` seeds, each in its own directory; the last result, and mean and deviation of all."""
    out = settings.out or checkpoint.new_run(settings)
    seeds = range(settings.seed, settings.seed + settings.repeat)
    results = [train(replace(settings, seed=seed, out=out / f"seed-{seed}")) for seed in seeds]
    rows, spread = [result for result in results if result], {"runs": len(seeds)}
    for name in REPEATED:
        values = [row[name] for row in rows if name in row]
        if len(values) > 1:
            spread |= {f"{name}_mean": fmean(values), f"{name}_deviation": stdev(values)}
    return rows[-1] | {"repeat": spread} if rows else None


def prepare(settings: Settings, recipe: Recipe, process: Process) -> Run:
    """Load the data and build the learner, or continue the run directory's checkpoint when --resume asks for it."""
    device, loading = process.device, time.monotonic()
    with lead_first(process):
        dataset = load_dataset(settings)
    phases = {"data": time.monotonic() - loading}
    directories = [checkpoint.run_directory(settings) if process.rank == 0 else None]
    if process.size > 1:
        dist.broadcast_object_list(directories, src=0, device=torch.device("cpu"))
    out = directories[0]
    compiled = settings.compiles(recipe, device.type, len(dataset.train.labels))
    learner = build_learner(recipe, process, compiled)
    found, position = checkpoint.load(out), Position()
    if found:
        found.check(recipe, dataset.fingerprint, settings.resume)
        position = checkpoint.restore(found, learner)
        say(f"resuming {out} after epoch {position.epoch} and {position.step} steps")
    elif isinstance(learner.network, FastNet):
        sample = move_to_device(dataset.train, torch.device("cpu"))  # where every rank gets the same
        learner.network.whiten(normalise(sample.images[:WHITENING_IMAGES], sample))
    if process.rank == 0:
        facts = {"data": dataset.source, "resumed_from_epoch": position.epoch}
        checkpoint.write_manifest(out, settings, learner, facts)
    images, test_images = move_to_device(dataset.train, device), move_to_device(dataset.test, device)
    phases["compile"] = prepare_step(learner, images)
    outputs = Outputs(out, learner, position.epoch + 1, enabled=settings.plots and process.rank == 0)
    return Run(learner, dataset, images, test_images, out, position, outputs, phases)


def train_one(run: Run, signals: list[int]) -> bool:
    """Train the running epoch with a progress bar; False when a signal stopped it early."""
    position, recipe, process, count = run.position, run.learner.recipe, run.learner.process, len(run.train)
    accuracy = {"accuracy": f"{position.history[-1]['test_accuracy']:.2%}"} if position.history else {}

    def images_done() -> int:
        return position.epoch * count + min(position.step * recipe.batch_size, count)

    def after_step() -> bool:
        bar.update(images_done() - bar.n)
        agreed = process.size == 1 or position.step % STEPS_BETWEEN_AGREEMENTS == 0
        return agreed and any_rank(process, sum(signals[:1])) != 0

    label = f"epoch {position.epoch + 1}/{recipe.epochs}"  # the bar is that of all epochs, and so is its time left
    with Bar(desc=label, total=recipe.epochs * count, unit=" images", initial=images_done(), postfix=accuracy) as bar:
        return train_epoch(run.learner, run.train, position, after_step)


def close_epoch(run: Run) -> None:
    """Evaluate, and turn the epoch's state into a row of metrics.csv and a line for the reader."""
    position, learner, count = run.position, run.learner, len(run.train)
    number, recipe = position.epoch + 1, learner.recipe
    if not math.isfinite(position.loss_sum):
        cause = f"the training diverged: in epoch {number} the loss is {position.loss_sum}"
        raise DivergedError(cause, f"give a smaller --learning-rate than {recipe.learning_rate:g}, and another --out")
    timer = start_clock(learner.process.device)
    train_loss, rate = position.loss_sum / count, round(count / position.seconds, 1)
    test_loss, accuracy = evaluate(learner, run.test)
    row = {"epoch": number, "train_loss": train_loss, "test_loss": test_loss, "test_accuracy": accuracy}
    row |= {"seconds": round(position.seconds, 4), "evaluation_seconds": round(timer(), 4), "images_per_second": rate}
    row |= {"learning_rate": learner.optimizer.param_groups[0]["lr"]}
    position.history.append(row)
    position.epoch, position.step, position.loss_sum, position.seconds = number, 0, 0.0, 0.0
    if learner.process.rank == 0:
        checkpoint.write_metrics(run.out, position.history)
    run.outputs.add_epoch(row)
    losses = f"train loss {train_loss:.4f}  test loss {test_loss:.4f}  test accuracy {accuracy:.2%}"
    say(f"epoch {number}/{recipe.epochs}  {losses}  {rate:,.0f} images/s  {row['seconds']:.1f} s")


def finish(run: Run) -> dict[str, Any]:
    """The result object. What is tested with six views is said beside the rest."""
    history, learner, device = run.position.history, run.learner, run.learner.process.device
    result = {name: history[-1][name] for name in ("test_accuracy", "test_loss", "train_loss")}
    timer = start_clock(device)
    if learner.recipe.six_views:
        accuracy = result["test_accuracy_six_views"] = evaluate(learner, run.test, six_views=True)[1]
        say(f"test accuracy, six views of each image: {accuracy:.2%}")
    phases = run.phases | {"outputs": run.outputs.seconds, "train": sum(row["seconds"] for row in history)}
    phases["evaluation"] = sum(row["evaluation_seconds"] for row in history) + timer()
    result["images_per_second"] = round(len(history) * len(run.train) / phases["train"], 1)
    result |= {"device": device.type, "epochs": run.position.epoch, "model": learner.recipe.model}
    result |= {f"{name}_seconds": round(value, 3) for name, value in phases.items()}
    result |= {"cpu_seconds": round(time.process_time(), 3), "ranks": learner.process.size}
    result |= {"data": "synthetic" if run.dataset.source == "synthetic" else "images"}
    result |= {"checkpoint": str(run.out / checkpoint.INDEX)}
    if device.type == "cuda":
        result["peak_memory_bytes"] = torch.cuda.max_memory_allocated(device)
    return result
