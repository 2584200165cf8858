# ruff: noqa: E402 - importorskip comes first: without these packages the tests are skipped, not broken
"""What a run leaves to look at: the pictures are read back, TensorBoard's file by TensorBoard's own reader."""

from __future__ import annotations

import csv
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
matplotlib_figure = pytest.importorskip("matplotlib.figure")
image_module = pytest.importorskip("PIL.Image")
import numpy as np
from cifar10.cli import build_parser, settings_from
from cifar10.data import Split, synthetic
from cifar10.errors import StoppedError
from cifar10.plots import Outputs, draw_confusions, draw_examples
from cifar10.settings import Settings
from cifar10.train import train

PICTURES = ("confusion-matrix.png", "curves.png", "predictions.png")
NAMES = [f"class {number}" for number in range(10)]


def pictures(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.png"))


def curves(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """Every curve that TensorBoard shows of a run's directory: steps and values."""
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator(
        str(directory)
    )
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def assert_curves_equal_metrics(directory: Path) -> None:
    rows = list(csv.DictReader((directory / "metrics.csv").open()))
    shown = curves(directory)
    for column in ("train_loss", "test_loss", "test_accuracy", "images_per_second", "learning_rate"):
        assert [step for step, _ in shown[column]] == [int(row["epoch"]) for row in rows]
        assert [value for _, value in shown[column]] == pytest.approx([float(row[column]) for row in rows], rel=1e-6)


def draw(directory: Path, **changes: Any) -> dict[str, Any]:
    """One epoch of `simple`, or as many as asked for."""
    result = train(Settings(**{"epochs": 1, "out": directory, "device": "cpu"} | changes))
    assert result is not None
    return result


def test_a_run_leaves_pictures_and_curves_and_a_resumed_one_continues_them(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyplot cannot be imported here: its state belongs to a notebook."""
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    result = draw(tmp_path / "run", data=npz)
    assert 0 < result["outputs_seconds"] < result["seconds"] - result["train_seconds"]
    assert pictures(tmp_path / "run") == sorted(PICTURES)
    for name in PICTURES:
        with image_module.open(tmp_path / "run" / name) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        height, width, _ = pixels.shape
        assert 350 <= height <= 1000 and 700 <= width <= 1400
        assert pixels.std() > 10 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    before = (tmp_path / "run" / "curves.png").read_bytes()
    assert_curves_equal_metrics(tmp_path / "run")
    draw(tmp_path / "run", data=npz, epochs=2, resume="auto")
    assert_curves_equal_metrics(tmp_path / "run")
    assert len(curves(tmp_path / "run")["train_loss"]) == 2
    assert (tmp_path / "run" / "curves.png").read_bytes() != before


def test_an_epoch_repeated_after_a_crash_replaces_the_lost_one(tmp_path: Path) -> None:
    """TensorBoard's file is further than the checkpoint from which the second and third process go on."""
    row = {"train_loss": 1.0, "test_loss": 1.0, "test_accuracy": 0.5, "images_per_second": 9.0, "learning_rate": 0.1}
    learner: Any = None  # what writes the curves needs none
    for first, epochs in ((1, (1, 2)), (3, (3,)), (3, (3, 4))):
        outputs = Outputs(tmp_path, learner, first)
        for epoch in epochs:
            outputs.add_epoch({"epoch": epoch} | row)
    assert [step for step, _ in curves(tmp_path)["train_loss"]] == [1, 2, 3, 4]


def test_a_stopped_run_leaves_pictures_too_and_they_say_what_images_are_invented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real SIGTERM after the first epoch, on fewer invented images than usual."""
    few, titles, original = synthetic(64, 64), [], matplotlib_figure.Figure.suptitle
    keep = lambda self, text, **options: titles.append(text) or original(self, text, **options)  # noqa: E731
    monkeypatch.setattr(matplotlib_figure.Figure, "suptitle", keep)
    monkeypatch.setattr("cifar10.sources.synthetic", lambda: few)
    settings = Settings(epochs=3, out=tmp_path, device="cpu", synthetic=True)
    with pytest.raises(StoppedError):
        train(settings, after_epoch=lambda _rows: os.kill(os.getpid(), signal.SIGTERM))
    assert pictures(tmp_path) == sorted(PICTURES)
    assert len(titles) == 3
    assert all(title.startswith("simple, epoch 1, invented images: ") for title in titles)


def test_what_was_not_asked_for_is_not_there(npz: Path, tmp_path: Path) -> None:
    asked = [settings_from(build_parser().parse_args(["train", *more])).plots for more in ([], ["--no-plots"])]
    assert asked == [True, False]
    assert draw(tmp_path, data=npz, plots=False)["outputs_seconds"] == 0
    assert not pictures(tmp_path) and not list(tmp_path.glob("events*"))


def test_without_matplotlib_and_tensorboard_one_line_says_so(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("matplotlib.figure", "tensorboard.compat.proto.event_pb2"):
        monkeypatch.setitem(sys.modules, name, None)
    draw(tmp_path, data=npz)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "matplotlib" in line or "tensorboard" in line]
    assert line.startswith("no pictures: import of matplotlib")
    assert not pictures(tmp_path) and not list(tmp_path.glob("events*"))


def test_files_that_cannot_be_written_do_not_cost_the_result(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Directories in their place stand for a full disk."""
    for name in ("curves.png", "events.out.tfevents.00001"):
        (tmp_path / name).mkdir()
    draw(tmp_path, data=npz)
    said = capsys.readouterr().err
    assert "no pictures: [Errno 21] Is a directory" in said and "no TensorBoard file: [Errno 21]" in said


def answers(truth: list[int], answered: list[int], sure: list[float]) -> tuple[Split, Any]:
    """Noise as test images, and the probabilities of these answers."""
    rest = (1 - np.array(sure, np.float32)) / 9
    probabilities = np.repeat(rest[:, None], 10, axis=1)
    probabilities[np.arange(len(truth)), answered] = sure
    images = np.random.default_rng(0).integers(0, 256, (len(truth), 32, 32, 3), np.uint8)
    return Split(images, np.array(truth, np.uint8)), probabilities


def test_confusions_are_shares_of_the_true_class() -> None:
    figure = matplotlib_figure.Figure()
    draw_confusions(figure, *answers([3, 3, 3, 3, 5], [3, 5, 5, 5, 5], [0.9] * 5), NAMES)
    (axes,) = figure.axes
    shown = {
        (text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts if text.get_text()
    }
    assert shown == {(3, 3): "25", (3, 5): "75", (5, 5): "100"}
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES


def test_examples_show_the_surest_mistake_first() -> None:
    figure = matplotlib_figure.Figure()
    said = draw_examples(figure, *answers([0, 1, 2, 3], [0, 7, 8, 3], [0.99, 0.5, 0.8, 0.7]), NAMES)
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles == ["class 8 80%\ntruth: class 2", "class 7 50%\ntruth: class 1", "class 0 99%", "class 3 70%"]
    assert said.startswith("2 of 4 test images wrong")
