# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""The command line as users and scripts see it: the result object, the files, the errors, the progress."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from cifar10.report import Bar, say

from tests.torch.cifar10.loading import environ


@pytest.fixture
def trained(cli: Callable, npz: Path) -> Callable:
    """Train one epoch on the tiny data set into ./run."""
    common = ("train", "--data", npz, "--device", "cpu", "--epochs", "1", "--out", "run", "--no-plots")
    return lambda *more: cli(*common, *more)


def test_result_object(trained: Callable) -> None:
    outcome = trained()
    assert outcome.code == 0
    assert len(outcome.stdout.splitlines()) == 1
    result = outcome.result
    assert 0 <= result["test_accuracy"] <= 1
    assert result["images_per_second"] > 0
    assert result["device"] == "cpu"
    assert result["epochs"] == 1
    assert result["seconds"] >= result["train_seconds"] > 0
    assert Path(result["checkpoint"]).is_file()


def test_metrics_and_manifest(trained: Callable, cli: Callable, npz: Path) -> None:
    trained("--batch-size", "32", "--learning-rate", "0.002", "--seed", "5")
    rows = list(csv.DictReader(Path("run/metrics.csv").read_text().splitlines()))
    assert list(rows[0]) == [
        "epoch", "train_loss", "test_loss", "test_accuracy", "seconds", "evaluation_seconds", "images_per_second",
        "learning_rate",
    ]  # fmt: skip
    assert [float(row["learning_rate"]) for row in rows] == [0.002]
    manifest = json.loads(Path("run/run.json").read_text())
    assert manifest["arguments"]["batch_size"] == 32
    assert manifest["arguments"]["seed"] == 5
    assert manifest["versions"]["torch"] == torch.__version__
    assert manifest["device"]["type"] == "cpu"
    assert manifest["data"] == f"npz {npz}"


@pytest.mark.parametrize("text", ["{broken", "[]", "{}"])
def test_a_record_of_the_launcher_that_cannot_be_read_costs_the_images_name_only(trained: Callable, text: str) -> None:
    record = Path(os.environ["ENVCHECK_ROOT"], "run/gpu-launcher/request.json")
    record.parent.mkdir(parents=True)
    record.write_text(text)
    assert trained().code == 0
    assert json.loads(Path("run/run.json").read_text())["image"] is None


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE"])
def test_half_of_torchruns_variables_is_none(name: str, trained: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cluster software sets one of them for purposes of its own."""
    monkeypatch.setenv(name, "2")
    assert trained().result["ranks"] == 1


def test_synthetic_images_are_learnt_and_named(cli: Callable) -> None:
    outcome = cli("train", "--synthetic", "--epochs", "2", "--device", "cpu", "--out", "run")
    assert outcome.result["data"] == "synthetic"
    assert outcome.result["test_accuracy"] > 0.4


def test_eval_finds_the_accuracy_of_training(trained: Callable, cli: Callable, npz: Path) -> None:
    result = trained().result
    again = cli("eval", "--data", npz, "--device", "cpu", "--out", "run").result
    assert again["test_accuracy"] == result["test_accuracy"]
    assert again["test_loss"] == pytest.approx(result["test_loss"], rel=1e-6)
    assert again["epochs"] == 1


def test_predict_names_the_class_of_image_files(cli: Callable) -> None:
    """Trained on the synthetic stripes, asked about twenty of them as PNG files, every other one enlarged."""
    image = pytest.importorskip("PIL.Image")
    from cifar10.data import synthetic
    from cifar10.settings import CLASSES

    cli("train", "--synthetic", "--epochs", "2", "--device", "cpu", "--out", "run")
    test = synthetic().test
    names = [f"{row}.png" for row in range(20)]
    for row, name in enumerate(names):
        side = 256 if row % 2 else 32
        image.fromarray(test.images[row]).resize((side, side), image.Resampling.NEAREST).save(name)
    predictions = cli("predict", *names, "--device", "cpu", "--out", "run").result["predictions"]
    assert [p["file"] for p in predictions] == names
    right = [p["label"] == CLASSES[label] for p, label in zip(predictions, test.labels[:20], strict=True)]
    assert sum(right) >= 17
    assert sum(predictions[0]["classes"].values()) == pytest.approx(1, abs=1e-2)


def test_predict_names_a_file_that_is_no_image(cli: Callable) -> None:
    Path("text.png").write_text("hello")
    cli("predict", "text.png", "--device", "cpu").assert_failed(1, "text.png", "image")
    cli("predict", "none.png", "--device", "cpu").assert_failed(1, "none.png")


def test_eval_without_a_run(cli: Callable, npz: Path) -> None:
    cli("eval", "--data", npz, "--device", "cpu").assert_failed(2, "no run in ./runs", "--out")
    cli("eval", "--data", npz, "--device", "cpu", "--out", "none").assert_failed(2, "none/checkpoint.json")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "COMMAND"),
        (["tarin"], "tarin"),
        (["train", "--model", "huge"], "huge"),
        (["train", "--epochs", "0"], "--epochs"),
        (["train", "--epochs", "many"], "many"),
        (["train", "--epochs", "1_000"], "1_000"),
        (["train", "--epochs", " 5"], "' 5'"),
        (["train", "--epochs", "+5"], "'+5'"),
        (["train", "--batch-size", "-1"], "--batch-size"),
        (["train", "--learning-rate", "nan"], "nan"),
        (["train", "--learning-rate", "0"], "--learning-rate"),
        (["train", "--seed", "-1"], "--seed"),
        (["train", "--device", "tpu"], "tpu"),
        (["train", "--resume", "yes"], "yes"),
        (["train", "--epoch", "1"], "--epoch"),
        (["train", "--repeat", "0"], "--repeat"),
        (["train", "--compile", "maybe"], "maybe"),
        (["export"], "FILE"),
        (["eval", "--epochs", "1"], "--epochs"),
    ],
)
def test_usage_errors(arguments: list[str], word: str, cli: Callable) -> None:
    outcome = cli(*arguments)
    outcome.assert_failed(2, word, "--help")
    assert len(outcome.stderr.splitlines()) == 2


def test_float16_on_a_cpu_is_refused_before_anything_is_written(trained: Callable) -> None:
    trained("--precision", "float16").assert_failed(2, "float16", "bfloat16")
    assert not Path("run/checkpoint.json").exists()


def test_data_directory_that_cannot_be_made(cli: Callable) -> None:
    Path("file").touch()
    outcome = cli("train", "--device", "cpu", "--data", "file/data", "--mirror", "http://127.0.0.1:9")
    outcome.assert_failed(1, "file/data", "--data")


def test_out_that_cannot_be_made(trained: Callable, cli: Callable, npz: Path) -> None:
    Path("file").touch()
    cli("train", "--data", npz, "--device", "cpu", "--out", "file/run").assert_failed(1, "file/run", "--out")


def test_help_comes_without_torch_and_results_alone_on_stdout(npz: Path) -> None:
    """Real processes: `--help` does not import torch; a run's stdout holds one line."""
    program = "from cifar10.cli import main\ntry: main(['train', '--help'])\nfinally: assert 'torch' not in sys.modules"
    program = f"import sys\n{program}"
    asked = subprocess.run([sys.executable, "-c", program], env=environ(), capture_output=True, text=True)
    assert "--resume" in asked.stdout
    assert asked.stderr == ""
    command = [sys.executable, "-m", "cifar10", "train", "--data", npz, "--epochs", "2", "--device", "cpu"]
    done = subprocess.run(command, env=environ(), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["epochs"] == 2
    assert done.stderr.splitlines()[0].startswith("device: CPU")
    assert [line.split()[:2] for line in done.stderr.splitlines()[1:]] == [["epoch", "1/2"], ["epoch", "2/2"]]


def test_a_run_that_diverges_ends_with_advice_and_is_not_saved(trained: Callable) -> None:
    trained("--learning-rate", "1e30").assert_failed(1, "diverged", "epoch 1", "smaller --learning-rate than 1e+30")
    assert not Path("run/checkpoint.json").exists()


def test_repeated_runs_differ_by_their_seeds_and_are_summed_up(cli: Callable, npz: Path) -> None:
    common = ("train", "--data", npz, "--device", "cpu", "--epochs", "1", "--seed", "3", "--no-plots")
    outcome = cli(*common, "--repeat", "3", "--out", "runs/three")
    one = cli(*common[:-3], "--seed", "4", "--no-plots", "--out", "one").result
    spread = outcome.result["repeat"]
    found = [json.loads(path.read_text())["seed"] for path in sorted(Path("runs/three").glob("seed-*/checkpoint.json"))]
    assert (found, spread["runs"]) == ([3, 4, 5], 3)
    texts = [Path(f"runs/three/seed-{seed}/metrics.csv").read_text() for seed in found]
    accuracies = [float(list(csv.DictReader(text.splitlines()))[-1]["test_accuracy"]) for text in texts]
    assert spread["test_accuracy_mean"] == pytest.approx(statistics.fmean(accuracies))
    assert spread["test_accuracy_deviation"] == pytest.approx(statistics.stdev(accuracies))
    assert accuracies[1] == one["test_accuracy"]


def test_deterministic_algorithms_are_used_when_asked_for(trained: Callable) -> None:
    try:
        assert trained("--deterministic").code == 0
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "rank"), [(Terminal(), "0"), (io.StringIO(), "0"), (io.StringIO(), "1")])
def test_bar_on_a_terminal_and_lines_on_a_pipe(stream: io.StringIO, rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIPE_INTERVAL", "TERMINAL_INTERVAL"):
        monkeypatch.setattr(f"cifar10.report.{name}", 0.0)
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(sys, "stderr", stream)
    with Bar(desc="epoch 1/2", total=200, initial=40, unit=" images", postfix={"accuracy": "61.00%"}) as bar:
        bar.update(10)
    say("done")
    if isinstance(stream, Terminal):
        assert "\repoch 1/2:  25%|" in stream.getvalue() and " 50/200 [" in stream.getvalue()
        assert "images/s, accuracy=61.00%]" in stream.getvalue()
        assert stream.getvalue().splitlines()[-1] == "done"  # the bar is gone
    elif rank == "0":
        *_, line, last = stream.getvalue().splitlines()
        assert re.fullmatch(r"epoch 1/2  25 %  50/200 images  \d.* images/s  \d\d:\d\d left, accuracy=61.00%", line)
        assert last == "done"
    else:
        assert stream.getvalue() == ""


def test_compiled_model_trains(trained: Callable) -> None:
    """torch.compile is replaced by a marker: compiling for real takes half a minute."""
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", lambda module, **_: calls.append(module) or module)
        assert trained("--compile").code == 0
    assert len(calls) == 1
