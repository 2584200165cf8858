# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""Never lose work: resume is bit-equal on the CPU, and signals save."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from cifar10 import checkpoint as checkpoint_module
from cifar10 import loop
from cifar10.distributed import Process
from cifar10.loop import build_learner
from cifar10.settings import Recipe

from tests.torch.cifar10.runs import assert_same_run, curve, tensors


def test_resumed_run_is_bit_equal(train: Callable) -> None:
    assert train("whole", 3).code == 0
    assert train("parts", 1).code == 0
    outcome = train("parts", 3, "--resume", "auto")
    assert outcome.code == 0
    assert "resuming parts after epoch 1" in outcome.stderr
    assert_same_run("whole", "parts")
    assert [row["epoch"] for row in curve("parts")] == ["1", "2", "3"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("step", [1, 13])
def test_signal_saves_and_the_resumed_run_is_bit_equal(
    number: int, code: int, step: int, train: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal is real; it arrives during step 1, or step 13 = the fourth of the second epoch."""
    assert train("whole", 2).code == 0
    steps, original = [], loop.train_step

    def signalled(*arguments: object) -> torch.Tensor:
        steps.append(1)
        if len(steps) == step:
            os.kill(os.getpid(), number)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", signalled)
        outcome = train("parts", 2)
    outcome.assert_failed(code, "saved in parts", "--resume auto", signal.Signals(number).name)
    assert len(steps) == step
    assert train("parts", 2, "--resume", "auto").code == 0
    assert_same_run("whole", "parts")


def test_signal_while_the_data_is_loaded(train: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cifar10.sources.read_npz", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    train("run", 1).assert_failed(143, "SIGTERM", "start the same command again")
    assert not Path("run").exists()


def test_finished_run_resumed_only_reports(train: Callable) -> None:
    first = train("run", 1).result
    again = train("run", 1, "--resume", "auto")
    assert again.result["test_accuracy"] == first["test_accuracy"]
    assert again.result["images_per_second"] == first["images_per_second"]
    assert len(curve("run")) == 1


def test_resume_without_checkpoint_starts(train: Callable) -> None:
    assert train("run", 1, "--resume", "auto").code == 0


def test_resume_without_out_takes_the_newest_run(cli: Callable, npz: Path) -> None:
    common = ("train", "--data", npz, "--device", "cpu")
    assert cli(*common, "--epochs", "1").code == 0
    (out,) = Path("runs").iterdir()
    assert cli(*common, "--epochs", "2", "--resume", "auto").result["checkpoint"] == str(out / "checkpoint.json")
    assert list(Path("runs").iterdir()) == [out]


def test_a_run_is_not_overwritten(train: Callable) -> None:
    train("run", 1)
    before = tensors("run")
    train("run", 1).assert_failed(2, "run already holds a run", "--resume auto")
    assert all(torch.equal(before[name], value) for name, value in tensors("run").items())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("--batch-size", "32"), "batch-size 64 (now 32)"),
        (("--seed", "1"), "seed 0 (now 1)"),
        (("--learning-rate", "0.1"), "learning-rate 0.001 (now 0.1)"),
        (("--model", "fast"), "model simple (now fast)"),
        (("--synthetic",), "data "),
    ],
)
def test_resume_with_another_curve_is_refused(change: tuple[str, ...], word: str, train: Callable) -> None:
    train("run", 1)
    train("run", 2, "--resume", "auto", *change).assert_failed(2, word, "another --out")


def test_random_state_is_restored(tmp_path: Path) -> None:
    """No model here draws random numbers while it trains, but one with dropout would."""
    recipe, cpu = Recipe("simple", 1, 64, 1e-3), torch.device("cpu")
    learners = [build_learner(recipe, Process(cpu)) for _ in range(2)]
    torch.rand(5)
    checkpoint_module.save(tmp_path, learners[0], checkpoint_module.Position(), "")
    expected = torch.rand(5)
    checkpoint_module.restore(checkpoint_module.load(tmp_path), learners[1])
    assert torch.equal(torch.rand(5), expected)
