"""What people look at, in the run's directory: curves for TensorBoard while it goes on, pictures at its end."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cifar10.data import Dataset, Split
from cifar10.files import write_atomically
from cifar10.inference import classify
from cifar10.loop import Learner, Position
from cifar10.report import say
from cifar10.settings import CLASSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALARS = ("train_loss", "test_loss", "test_accuracy", "images_per_second", "learning_rate")
EXAMPLES, WRONG, COLUMNS = 24, 16, 8


@dataclass(slots=True)
class Outputs:
    """Writes into `out` from epoch `first` (1, ...) on, where `enabled`. A failure is one line, never the run's end."""

    out: Path
    learner: Learner
    first: int
    enabled: bool = True
    seconds: float = 0.0  # what all this has cost so far

    def add_epoch(self, row: dict[str, float]) -> None:
        """Append a row of metrics.csv to TensorBoard's file; nothing where tensorboard is not installed."""
        if not self.enabled:
            return
        with self._measured("TensorBoard file"), suppress(ImportError):
            # What torch's SummaryWriter is made of; its thread would print a traceback when the disk is full.
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.record_writer import RecordWriter

            new, now = row["epoch"] == self.first, time.time()
            values = [Summary.Value(tag=name, simple_value=row[name]) for name in SCALARS]
            events = [Event(wall_time=now, file_version="brain.Event:2")] * new
            events.append(Event(wall_time=now, step=int(row["epoch"]), summary=Summary(value=values)))
            # Each process has its own file, so that an epoch that is repeated after a crash replaces the lost one.
            with (self.out / f"events.out.tfevents.{self.first:05}").open("wb" if new else "ab") as file:
                for event in events:
                    RecordWriter(file).write(event.SerializeToString())

    def draw(self, position: Position, dataset: Dataset, most: int | None = None) -> None:
        """Write curves.png, and of (at `most`) the test images confusion-matrix.png and predictions.png."""
        if not self.enabled or not position.history:
            return
        with self._measured("pictures"):
            # Without pyplot, whose state and backend are a notebook's.
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure

            invented = dataset.source == "synthetic"
            test = Split(dataset.test.images[:most], dataset.test.labels[:most])
            names = [f"pattern {number}" for number in range(10)] if invented else list(CLASSES)
            title = f"{self.learner.recipe.model}, epoch {position.epoch}"
            title += ", invented images" if invented else f", {Path(dataset.source).name}"
            sure = classify(self.learner, test.images)
            for name, size, draw in (
                ("curves", (10, 4), lambda figure: draw_curves(figure, position.history)),
                ("confusion-matrix", (8, 7.5), lambda figure: draw_confusions(figure, test, sure, names)),
                ("predictions", (12, 7), lambda figure: draw_examples(figure, test, sure, names)),
            ):
                figure, content = Figure(size, layout="constrained"), io.BytesIO()
                figure.suptitle(f"{title}: {draw(figure)}", parse_math=False, fontsize=11)
                FigureCanvasAgg(figure).print_png(content)
                write_atomically(self.out / f"{name}.png", content.getvalue())

    @contextmanager
    def _measured(self, what: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        except Exception as error:  # whatever a library raises, and a full disk
            say(f"no {what}: {error} (the run itself is not affected)")
        self.seconds += time.monotonic() - begun


def draw_curves(figure: "Figure", history: list[dict[str, float]]) -> str:
    """Loss and accuracy by epoch; returns what the title says of them."""
    epochs, axes = [row["epoch"] for row in history], figure.subplots(1, 2)
    for column, panel in (("train_loss", axes[0]), ("test_loss", axes[0]), ("test_accuracy", axes[1])):
        panel.plot(epochs, [row[column] for row in history], ".-", label=column.replace("_", " "))
        panel.set(xlabel="epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.legend()
    axes[1].yaxis.set_major_formatter("{x:.1%}")
    return "loss and accuracy"


def draw_confusions(figure: "Figure", test: Split, sure: NDArray[np.float32], names: list[str]) -> str:
    """The share of each answer in each class, of probabilities `sure` (N, 10); returns what the title says of it."""
    axes, counts = figure.subplots(), np.zeros((len(names), len(names)))
    np.add.at(counts, (test.labels, sure.argmax(1)), 1)
    shares = 100 * counts / counts.sum(1, keepdims=True).clip(1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set(xlabel="the network's answer", ylabel="truth")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    for (row, column), share in np.ndenumerate(shares):
        text, colour = f"{share:.0f}" if share >= 1 else "<1" * bool(share), "white" if share > 50 else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    return f"answers to {len(sure):,} test images in % of each class"


def draw_examples(figure: "Figure", test: Split, sure: NDArray[np.float32], names: list[str]) -> str:
    """Wrong answers, the surest first, which tell most of network and labels; then right ones."""
    answers = sure.argmax(1)
    right = answers == test.labels
    wrong = np.argsort(right - sure.max(1), kind="stable")[: (~right).sum()]
    rows = [*wrong[:WRONG], *np.flatnonzero(right)][:EXAMPLES]
    for panel in figure.subplots(EXAMPLES // COLUMNS, COLUMNS).flat:
        panel.axis("off")
    for panel, row in zip(figure.axes, rows, strict=False):
        panel.imshow(test.images[row])
        note = "" if right[row] else f"\ntruth: {names[test.labels[row]]}"
        colour = "tab:green" if right[row] else "tab:red"
        panel.set_title(f"{names[answers[row]]} {sure[row].max():.0%}{note}", fontsize=9, color=colour)
    return f"{len(wrong):,} of {len(right):,} test images wrong, the surest first"
