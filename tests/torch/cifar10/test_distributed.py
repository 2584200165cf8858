# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""torchrun with two real gloo ranks on the CPU against one process."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from cifar10 import launch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from tests.torch.cifar10.loading import environ
from tests.waiting import DEADLINE_SECONDS

# The stated tolerances: the ranks add the same numbers in another order, and Adam amplifies the last bits; fast's batch
# norm sees only a rank's own share.
TOLERANCE = {"simple": 0.01, "fast": 0.05}


def torchrun(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "cifar10", "train", "--no-plots", "--device", "cpu", *map(str, arguments)]
    return subprocess.run(command, env=environ(), capture_output=True, text=True, timeout=DEADLINE_SECONDS)


def losses(out: str) -> list[float]:
    return [float(row["train_loss"]) for row in csv.DictReader(Path(out, "metrics.csv").open())]


@pytest.mark.parametrize("model", ["simple", "fast"])
def test_two_ranks_give_the_curve_of_one(model: str, cli: Callable, npz: Path) -> None:
    """513 images in batches of 64 leave a last one of one image: one rank has no share of it. 201 are evaluated.

    Fast trains its first bias in three epochs only.
    """
    arguments = ("--data", npz, "--model", model, "--epochs", "4", "--precision", "float32", "--augment", "--no-plots")
    arguments += ("--batch-size", "64")
    done = torchrun(*arguments, "--out", "two")
    assert done.returncode == 0, done.stderr
    assert cli("train", *arguments, "--device", "cpu", "--out", "one").code == 0
    assert losses("two") == pytest.approx(losses("one"), rel=TOLERANCE[model])

    result = json.loads(done.stdout)  # one line: neither the other rank nor gloo writes there
    assert result["ranks"] == 2
    assert sum(line.startswith("epoch 1/4") for line in done.stderr.splitlines()) == 1
    alone = cli("eval", "--data", npz, "--device", "cpu", "--precision", "float32", "--out", "two").result
    assert alone["test_accuracy"] == result["test_accuracy"]
    assert alone["test_loss"] == pytest.approx(result["test_loss"], rel=1e-6)


GRADIENT_PROGRAM = """
import sys, torch
from cifar10.batches import draw_epoch, move_to_device
from cifar10.data import synthetic
from cifar10.device import start
from cifar10.distributed import process_group
from cifar10.loop import build_learner, train_step
from cifar10.settings import Recipe

process = start("cpu", "float32")
data = move_to_device(synthetic(8, 1).train, process.device)
with process_group(process):
    recipe = Recipe("simple", 1, 4, 1e-3)
    learner = build_learner(recipe, process)
    learner.micro_batch = int(sys.argv[2])
    learner.optimizer = torch.optim.SGD(learner.network.parameters(), lr=0.1)
    for start, stop in ((0, 4), (4, 7), (7, 8)):
        train_step(learner, data, draw_epoch(8, recipe, 0, process.device), start, stop)
if process.rank == 0:
    torch.save(learner.network.state_dict(), sys.argv[1])
"""


@pytest.mark.parametrize("micro_batch", ["4", "1"])
def test_gradients_of_unequal_shares_are_those_of_one_process(tmp_path: Path, micro_batch: str) -> None:
    """Steps on 4, 3 and 1 images: equal shares, unequal shares, a rank without one. Adam would hide a wrong scale."""
    program = tmp_path / "program.py"
    program.write_text(GRADIENT_PROGRAM)
    ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([sys.executable, program, "one.pt", "4"], env=environ(), check=True, timeout=DEADLINE_SECONDS)
    subprocess.run(
        [sys.executable, *ranks, program, "two.pt", micro_batch], env=environ(), check=True, timeout=DEADLINE_SECONDS
    )
    one, two = (torch.load(name, weights_only=True) for name in ("one.pt", "two.pt"))
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=1e-6, rtol=1e-5)


def launched(*arguments: str | Path) -> subprocess.Popen[str]:
    """As `launcher train` starts several ranks."""
    command = [sys.executable, "-m", "cifar10.launch", "2", "train", "--device", "cpu", *map(str, arguments)]
    return subprocess.Popen(command, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (("--data", "bad.npz"), 1, "is not a readable .npz file"),
        (("--epochs", "none"), 2, "'none' is not a whole number"),
    ],
)
def test_an_error_on_two_ranks_is_said_once_without_torchruns_traceback(
    tmp_path: Path, arguments: tuple[str, ...], code: int, cause: str
) -> None:
    Path("bad.npz").write_bytes(b"PK\x03\x04 not really")
    process = launched(*arguments, "--out", "run")
    stdout, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, stdout) == (code, ""), stderr
    assert stderr.count(cause) == 1
    assert "Traceback" not in stderr and "elastic" not in stderr


def test_a_killed_rank_ends_the_job_with_a_cause(npz: Path) -> None:
    process = launched("--data", npz, "--epochs", "1000", "--out", "run")
    assert process.stderr is not None
    while not process.stderr.readline().startswith("epoch 1/"):
        assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 128 + signal.SIGKILL
    assert "cifar10: rank 1 was ended by SIGKILL\nnext: " in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(("exitcode", "code", "said"), [(-9, 137, "rank 1 was ended by SIGKILL"), (3, 3, "")])
def test_a_rank_that_lost_contact_does_not_hide_the_one_that_failed(
    exitcode: int, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Simulated: torchrun finds both ended at one look, as on a busy machine."""
    ended = {rank: ProcessFailure(rank, 1, number, "no file") for rank, number in enumerate((1, exitcode))}

    def run(_: object) -> None:
        raise ChildFailedError("cifar10", ended)

    monkeypatch.setattr(launch.torchrun, "run", run)
    monkeypatch.setattr("logging.disable", lambda _: None)
    assert launch.main(["2", "train"]) == code
    assert said in capsys.readouterr().err


def test_a_signal_saves_and_is_the_exit_code(npz: Path) -> None:
    process = launched("--data", npz, "--epochs", "1000", "--out", "run")
    assert process.stderr is not None
    while not process.stderr.readline().startswith("epoch 1/"):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    assert stderr.count("progress is saved in run") == 1
    assert "Traceback" not in stderr


def test_batch_smaller_than_the_ranks_is_refused(cli: Callable, npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank and size come from the environment, as torchrun sets them."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    outcome = cli("train", "--data", npz, "--device", "cpu", "--batch-size", "3")
    outcome.assert_failed(2, "--batch-size 3", "4 processes")


@pytest.mark.parametrize("arguments", [("eval",), ("predict", "a.png"), ("train", "--find-batch")])
def test_what_uses_one_process_is_refused_on_several(
    arguments: tuple[str, ...], cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank and size come from the environment, as torchrun sets them."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    cli(*arguments).assert_failed(2, "only training uses several processes", "without torchrun")
