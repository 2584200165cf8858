# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""Out of memory: the same batch and curve in smaller pieces, a container's limit kept, batch sizes measured."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from cifar10 import loop, memory
from cifar10.batches import Resident, move_to_device
from cifar10.data import Split
from cifar10.distributed import Process
from cifar10.errors import TrainerError
from cifar10.loop import Learner, build_learner
from cifar10.settings import Recipe

CPU = torch.device("cpu")
RECIPE = Recipe("simple", 1, 64, 1e-3)
GIB = 1 << 30


@pytest.fixture
def data(arrays: dict[str, Any]) -> Resident:
    return move_to_device(Split(arrays["x_train"], arrays["y_train"]), CPU)


def learner(**changes: Any) -> Learner:
    return build_learner(replace(RECIPE, **changes), Process(CPU))


def exhausted(limit: int, original: Callable[..., Any]) -> Callable[..., Any]:
    """The learner's forward pass on a GPU, simulated, that has memory for `limit` images only."""

    def logits(self: Learner, images: torch.Tensor, train: bool = False) -> torch.Tensor:
        if len(images) > limit and train:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return original(self, images, train)

    return logits


def losses(out: str) -> list[float]:
    return [float(row["train_loss"]) for row in csv.DictReader(Path(out, "metrics.csv").open())]


def test_a_batch_that_does_not_fit_is_trained_in_pieces_with_the_same_curve(
    cli: Callable, npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = ("train", "--data", npz, "--device", "cpu", "--epochs", "2", "--precision", "float32", "--no-plots")
    assert cli(*common, "--out", "whole").code == 0
    monkeypatch.setattr(Learner, "logits", exhausted(45, Learner.logits))
    outcome = cli(*common, "--out", "pieces")
    assert outcome.code == 0
    said = [line for line in outcome.stderr.splitlines() if "out of memory" in line]
    assert said == ["out of memory with 64 images at once: going on with 32, same batch"]
    assert losses("pieces") == pytest.approx(losses("whole"), rel=1e-3)


def test_one_image_that_does_not_fit_ends_in_two_lines(
    cli: Callable, npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "logits", exhausted(0, Learner.logits))
    monkeypatch.setattr("cifar10.train.prepare_step", lambda *_: 0.0)
    outcome = cli("train", "--data", npz, "--device", "cpu", "--epochs", "1", "--out", "run")
    outcome.assert_failed(1, "out of memory with 1 images", "nvidia-smi", "--batch-size")


def test_on_several_ranks_nobody_waits_for_the_one_without_memory() -> None:
    it = learner()
    it.process = Process(CPU, size=2)
    with pytest.raises(TrainerError, match="out of memory with 64 images"):
        loop.halve_micro_batch(it, torch.OutOfMemoryError("CUDA out of memory"))


@pytest.mark.parametrize(("model", "widths"), [("simple", ()), ("fast", (32, 128, 128)), ("fast", (64, 256, 256))])
def test_the_estimate_of_a_cpu_steps_memory_covers_what_is_allocated(
    model: str, widths: tuple[int, ...], data: Resident
) -> None:
    it = learner(model=model, widths=widths, batch_size=256)
    need = memory.step_bytes(it, 256)
    with torch.profiler.profile(profile_memory=True) as profile:
        memory.rehearse(it, data, 256)
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    peak = max(itertools.accumulate(event.nbytes() for event in events))
    assert peak < need < 3 * peak


def test_a_cpu_computes_no_more_at_once_than_its_memory_allows(data: Resident, monkeypatch: pytest.MonkeyPatch) -> None:
    it = learner(batch_size=512)
    need = memory.step_bytes(it, 1)
    monkeypatch.setattr(memory, "available_memory", lambda: int(need * 100 / memory.USABLE))
    memory.prepare_step(it, data)
    assert it.micro_batch == 64
    state = loop.Position()
    assert loop.train_epoch(it, data, state, lambda: False)
    assert state.step == 2


def test_preparing_leaves_no_trace(data: Resident) -> None:
    it = learner(model="fast", widths=(24, 24, 24))
    before = {name: value.clone() for name, value in it.network.state_dict().items()}
    random = torch.get_rng_state()
    memory.prepare_step(it, data)
    memory.rehearse(it, data, 64)
    assert all(torch.equal(before[name], value) for name, value in it.network.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in it.network.parameters())


def test_find_batch_measures_and_trains_nothing(cli: Callable, npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 256 << 20)
    monkeypatch.setattr(memory, "SLOWEST_TRIAL_SECONDS", 60.0)
    outcome = cli("train", "--data", npz, "--device", "cpu", "--find-batch")
    assert outcome.code == 0
    sizes = [row["batch_size"] for row in outcome.result["batches"]]
    assert sizes == [32 * 2**step for step in range(len(sizes))] and len(sizes) > 1
    assert outcome.result["largest"] == sizes[-1] and outcome.result["fastest"] in sizes
    assert all(row["memory_bytes"] <= (256 << 20) * memory.USABLE for row in outcome.result["batches"])
    assert not Path("runs").exists()


def test_find_batch_says_that_not_even_the_smallest_fits(
    cli: Callable, npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1 << 20)
    cli("train", "--data", npz, "--device", "cpu", "--find-batch").assert_failed(1, "no memory for 32 images")


def test_a_network_that_does_not_say_what_it_needs_is_not_cut_into_pieces(data: Resident) -> None:
    it = learner()
    it.network = torch.nn.Flatten()
    assert memory.step_bytes(it, 64) == 0 and memory.fits(it, data, 64)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"memory.max": "max"}, 8),
        ({"memory.max": 3, "memory.current": 2, "memory.stat": "anon 5\ninactive_file {GIB}\nactive_file 7\n"}, 2),
        ({"memory.max": 1, "memory.current": 2}, 0),
        ({"memory.max": 16, "memory.current": 2}, 8),
        ({"a/memory.max": 4, "a/memory.current": 1, "a/b/memory.max": "max"}, 3),
        ({"a/c/memory.max": 1}, 8),
        ({"memory/memory.limit_in_bytes": 4, "memory/memory.usage_in_bytes": 1}, 3),
    ],
)
def test_the_least_of_what_machine_and_control_groups_have_left_is_available(
    files: dict[str, Any], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers are GiB. The machine's memory and the files of the control groups are simulated; ours is /a/b."""
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GIB))
    contents = {f"sys/fs/cgroup/{name}": value for name, value in files.items()}
    for name, value in (contents | {"proc/self/cgroup": "0::/a/b\n"}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(value.format(GIB=GIB) if isinstance(value, str) else str(value * GIB))
    assert memory.available_memory(tmp_path) == expected * GIB
