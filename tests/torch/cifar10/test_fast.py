# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""The fast model: its whitening, its optimizer, its rates, and that its runs can be stopped, continued and used."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from cifar10 import loop
from cifar10.batches import move_to_device
from cifar10.data import Split
from cifar10.distributed import Process
from cifar10.models import WHITENING_EPOCHS, FastNet, Muon, build_model, build_optimizer, orthogonalise, set_rates
from cifar10.settings import RECIPES, Settings
from safetensors.torch import load_file
from torch.nn import functional

CPU = torch.device("cpu")
SMALL = replace(RECIPES["fast", "cpu"], widths=(24, 24, 24), batch_size=64, learning_rate=0.24)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """fast with few channels and small batches, so that an epoch of the tiny data set takes a moment."""
    monkeypatch.setitem(RECIPES, ("fast", "cpu"), SMALL)


def test_whitened_patches_are_uncorrelated_with_variance_one() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(200, 3, 9, 9, generator=generator).cumsum(2).cumsum(3)  # neighbours are much alike
    network = FastNet((24, 24, 24))
    network.whiten(images)
    seen = functional.conv2d(images, network.whitening).transpose(0, 1).flatten(1)
    half, negatives = seen[:12], seen[12:]
    torch.testing.assert_close(negatives, -half)
    torch.testing.assert_close(half @ half.T / half.shape[1], torch.eye(12), atol=0.02, rtol=0)


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (24, 24)])
def test_an_orthogonalised_matrix_keeps_its_directions_and_has_even_singular_values(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, before, v = torch.linalg.svd(matrix, full_matrices=False)
    after = (u.T @ orthogonalise(matrix) @ v.T).diagonal()
    assert before.max() > 4 and after.min() > 0.25 and after.max() < 1.3


def test_biases_and_head_step_like_nesterov_sgd() -> None:
    """Five steps of a group that is not orthogonal against torch.optim.SGD with the same numbers."""
    start = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    mine, plain = (start.clone().requires_grad_() for _ in range(2))
    numbers = {"lr": 0.1, "momentum": 0.85, "weight_decay": 0.01}
    optimizers = (Muon([{"params": [mine]} | numbers]), torch.optim.SGD([plain], nesterov=True, **numbers))
    for _ in range(5):
        for parameter, optimizer in zip((mine, plain), optimizers, strict=True):
            optimizer.zero_grad()
            (parameter**2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(mine, plain)


def test_rates_fall_to_zero_and_the_whitening_bias_sooner() -> None:
    optimizer = build_optimizer(build_model(SMALL, CPU), SMALL)
    rates = []
    for epochs in (0.0, SMALL.epochs / 2, SMALL.epochs):
        set_rates(optimizer, SMALL, epochs)
        rates.append([group["lr"] for group in optimizer.param_groups])
    assert rates[0] == [group["rate"] for group in optimizer.param_groups]
    assert rates[1][:3] == [rate / 2 for rate in rates[0][:3]] and rates[1][3] == 0
    assert rates[2] == [0, 0, 0, 0]


@pytest.mark.parametrize("compiled", [False, True])
def test_the_whitening_bias_is_trained_in_the_first_epochs_only(arrays: dict[str, Any], compiled: bool) -> None:
    """A compiled network would be compiled anew without its gradient: there the rate of 0 does the same (simulated)."""
    data = move_to_device(Split(arrays["x_train"][:64], arrays["y_train"][:64]), CPU)
    learner = loop.build_learner(SMALL, Process(CPU))
    learner.compiled = learner.parallel if compiled else None
    for epoch in range(WHITENING_EPOCHS + 1):
        before = learner.network.bias.detach().clone()
        loop.train_epoch(learner, data, loop.Position(epoch), lambda: False)
        assert torch.equal(before, learner.network.bias) is (epoch == WHITENING_EPOCHS)
    assert (learner.network.bias.grad is None) is not compiled


def test_it_learns_and_six_views_are_reported_and_used(narrow: None, cli: Callable, npz: Path) -> None:
    arguments = ("--data", npz, "--device", "cpu", "--out", "run")
    outcome = cli("train", *arguments, "--model", "fast", "--epochs", "4", "--no-plots")
    assert outcome.result["test_accuracy"] > 0.5  # of ten kinds of stripes
    six = outcome.result["test_accuracy_six_views"]
    assert f"six views of each image: {six:.2%}" in outcome.stderr
    rows = csv.DictReader(Path("run/metrics.csv").read_text().splitlines())
    assert outcome.result["evaluation_seconds"] > sum(float(row["evaluation_seconds"]) for row in rows)
    phases = [outcome.result[f"{name}_seconds"] for name in ("data", "compile", "train", "evaluation", "outputs")]
    assert sum(phases) <= outcome.result["seconds"]
    again = cli("eval", *arguments).result  # the run knows its model
    assert (again["model"], again["test_accuracy_six_views"]) == ("fast", six)


def test_a_stopped_run_goes_on_bit_for_bit(
    narrow: None, cli: Callable, npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real SIGTERM in the middle of the epoch in which the whitening bias has just been frozen (9 steps an epoch)."""
    common = ("train", "--model", "fast", "--data", npz, "--device", "cpu", "--epochs", "5", "--no-plots")
    assert cli(*common, "--out", "whole").code == 0
    steps, original = [], loop.train_step

    def signalled(*arguments: Any) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 9 * WHITENING_EPOCHS + 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", signalled)
        assert cli(*common, "--out", "parts").code == 143
    assert cli(*common, "--out", "parts", "--resume", "auto").code == 0
    whole, parts = (
        load_file(Path(out, json.loads(Path(out, "checkpoint.json").read_text())["file"])) for out in ("whole", "parts")
    )
    assert whole.keys() == parts.keys()
    for name in whole:
        assert torch.equal(whole[name], parts[name]), name


def test_its_epochs_decide_its_curve(narrow: None, cli: Callable, npz: Path) -> None:
    common = ("train", "--model", "fast", "--data", npz, "--device", "cpu", "--out", "run", "--no-plots")
    assert cli(*common, "--epochs", "1").code == 0
    cli(*common, "--epochs", "2", "--resume", "auto").assert_failed(2, "epochs 1 (now 2)", "another --out")


@pytest.mark.parametrize(
    ("given", "batch_size", "rate"),
    [
        ({}, 64, 1e-3),
        ({"batch_size": 256}, 256, 2e-3),
        ({"batch_size": 256, "learning_rate": 0.1}, 256, 0.1),
    ],
)
def test_the_rate_follows_the_batch_size_unless_it_is_given(
    given: dict[str, Any], batch_size: int, rate: float
) -> None:
    recipe = Settings(**given).recipe("cpu")
    assert (recipe.batch_size, recipe.learning_rate) == (batch_size, pytest.approx(rate))


@pytest.mark.parametrize(
    ("asked", "model", "device", "epochs", "compiled"),
    [
        ("auto", "simple", "cpu", 10, False),
        ("auto", "simple", "cpu", 100, True),
        ("auto", "fast", "cpu", 1000, False),  # it would gain nothing there
        ("auto", "fast", "cuda", 8, False),
        ("auto", "fast", "cuda", 1000, True),
        ("on", "fast", "cpu", 1, True),
        ("off", "simple", "cuda", 100_000, False),
    ],
)
def test_only_long_runs_are_compiled(asked: str, model: str, device: str, epochs: int, compiled: bool) -> None:
    settings = Settings(model=model, epochs=epochs, compile=asked)
    assert settings.compiles(settings.recipe(device), device, 50_000) is compiled
