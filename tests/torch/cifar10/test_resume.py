# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""Never lose work: resume is bit-equal on the CPU, signals save, damaged or half-written checkpoints are never used."""

from __future__ import annotations

import csv
import json
import os
import pickle
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from cifar10 import checkpoint as checkpoint_module
from cifar10 import files, loop
from cifar10.checkpoint import load_checkpoint
from cifar10.device import Process
from cifar10.learner import build_learner
from cifar10.settings import Recipe
from safetensors.torch import load_file


@pytest.fixture
def train(cli: Callable, npz: Path) -> Callable:
    """`train(out, epochs, ...)` trains on the tiny data set with augmentation, so that every random draw counts."""

    def run(out: str, epochs: int, *more: str) -> object:
        arguments = ("--data", npz, "--out", out, "--epochs", str(epochs), "--device", "cpu", "--augment")
        return cli("train", *arguments, *more)

    return run


def tensors(out: str) -> dict[str, torch.Tensor]:
    index = json.loads(Path(out, "checkpoint.json").read_text())
    return load_file(Path(out, index["file"]))


def curve(out: str) -> list[dict[str, str]]:
    rows = csv.DictReader(Path(out, "metrics.csv").read_text().splitlines())
    return [{key: row[key] for key in row if "second" not in key} for row in rows]


def assert_same_run(one: str, other: str) -> None:
    """Every tensor (weights, optimizer, random state) and every loss is equal to the last bit."""
    a, b = tensors(one), tensors(other)
    assert a.keys() == b.keys()
    assert {"network.linear.bias", "optimizer.0.exp_avg_sq", "optimizer.5.step", "random.cpu"} <= a.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
    assert curve(one) == curve(other)


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
    monkeypatch.setattr("cifar10.sources.read_npz", lambda _: os.kill(os.getpid(), signal.SIGTERM))
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


def test_bit_flip_is_refused_with_both_hashes(train: Callable) -> None:
    train("run", 1)
    index = json.loads(Path("run/checkpoint.json").read_text())
    file = Path("run", index["file"])
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)
    actual = checkpoint_module.hashlib.sha256(content).hexdigest()
    train("run", 2, "--resume", "auto").assert_failed(1, file.name, actual, index["sha256"])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"file": "none.safetensors", "sha256": "00"}'])
def test_broken_index_is_refused(text: str, train: Callable) -> None:
    Path("run").mkdir()
    Path("run/checkpoint.json").write_text(text)
    train("run", 2, "--resume", "auto").assert_failed(1, "checkpoint.json", "another --out")


def test_disk_full_keeps_the_previous_checkpoint(train: Callable) -> None:
    """The full disk is simulated by a file size limit: the kernel itself refuses the write."""
    train("whole", 2)
    train("run", 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        outcome = train("run", 2, "--resume", "auto")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    outcome.assert_failed(1, "cannot write the checkpoint", "previous one is kept", "--resume auto")
    assert not list(Path("run").glob(".*.tmp"))
    assert load_checkpoint(Path("run")).position.epoch == 1
    assert train("run", 2, "--resume", "auto").code == 0
    assert_same_run("whole", "run")


@pytest.mark.parametrize("survived", range(3))
def test_crash_at_any_write_keeps_a_whole_checkpoint(
    survived: int, train: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash is simulated after 0, 1 or 2 renames of the second epoch (metrics, tensors, index)."""
    train("run", 1)
    renames, original = [], files.Path.replace

    def crashing(self: Path, target: Path) -> Path:
        if len(renames) == survived:
            raise SystemExit(137)
        renames.append(target.name)
        return original(self, target)

    original_manifest = "cifar10.train.write_manifest"
    with monkeypatch.context() as patch:
        patch.setattr(original_manifest, lambda *_: None)
        patch.setattr(files.Path, "replace", crashing)
        with pytest.raises(SystemExit):
            train("run", 2, "--resume", "auto")
    assert load_checkpoint(Path("run")).position.epoch == 1
    assert train("run", 2, "--resume", "auto").code == 0
    assert len(list(Path("run").glob("checkpoint-*.safetensors"))) == 1
    assert len(curve("run")) == 2


def test_fifty_kills_lose_no_more_than_the_running_epoch(train: Callable) -> None:
    """Processes that train without end are killed with SIGKILL at random moments; each goes on from the last one's."""
    train("first", 1)  # what the children would each have to load and to generate
    moments, epochs = random.Random(0), [0]
    for _ in range(50):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            # The line that closes an epoch is written before its checkpoint.
            sys.stderr = os.fdopen(writer, "w")
            train("run", 1000, "--resume", "auto")
            os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as lines:
            for line in lines:
                if line.startswith("epoch"):
                    break
            time.sleep(moments.uniform(0, 0.2))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told = [int(line.split()[1].split("/")[0]) for line in (line, *lines) if line.startswith("epoch")]
        checkpoint = load_checkpoint(Path("run"))
        done = checkpoint.position.epoch if checkpoint else 0
        assert done >= max(told) - 1 and done >= epochs[-1]
        epochs.append(done)
    assert epochs[-1] >= 25
    assert len(list(Path("run").glob("checkpoint-*.safetensors"))) <= 2


def test_random_state_is_restored(tmp_path: Path) -> None:
    """No model here draws random numbers while it trains, but one with dropout would."""
    recipe, cpu = Recipe("simple", 1, 64, 1e-3), torch.device("cpu")
    learners = [build_learner(recipe, Process(cpu)) for _ in range(2)]
    torch.rand(5)
    checkpoint_module.save_checkpoint(tmp_path, learners[0], checkpoint_module.Position(), "")
    expected = torch.rand(5)
    checkpoint_module.restore(load_checkpoint(tmp_path), learners[1])
    assert torch.equal(torch.rand(5), expected)


def test_no_pickle_is_loaded(train: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    train("run", 1)
    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("a pickle was loaded"))
    assert train("run", 2, "--resume", "auto").code == 0
    assert not [path for path in Path("run").iterdir() if path.suffix in (".pt", ".pth", ".pkl")]
