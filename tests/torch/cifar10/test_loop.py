# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""The training step against plain PyTorch, and evaluation against counting by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from cifar10.batches import Resident, draw_epoch, move_to_device, take_batch
from cifar10.data import Split
from cifar10.distributed import Process
from cifar10.loop import Learner, Position, build_learner, evaluate, train_epoch
from cifar10.models import build_model
from cifar10.settings import MODELS, RECIPES, Recipe
from torch import nn
from torch.nn import functional

CPU = torch.device("cpu")
RECIPE = Recipe("simple", 1, 64, 1e-3)
AUGMENTED = replace(RECIPE, flip="random", shift=4)


@pytest.fixture
def train_data(arrays: dict[str, Any]) -> Resident:
    return move_to_device(Split(arrays["x_train"], arrays["y_train"]), CPU)


@pytest.fixture
def test_data(arrays: dict[str, Any]) -> Resident:
    return move_to_device(Split(arrays["x_test"], arrays["y_test"]), CPU)


def learner(precision: torch.dtype = torch.float32, recipe: Recipe = RECIPE) -> Learner:
    return build_learner(recipe, Process(CPU, precision))


class Reference(nn.Module):
    """The reference network as it is usually written: relu, then pool."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.linear = nn.Linear(64 * 8 * 8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        return self.linear(x.flatten(1))


def never() -> bool:
    return False


def test_an_epoch_equals_plain_pytorch(train_data: Resident) -> None:
    """Batches of 64 and a last one of 1, mean loss, Adam at 1e-3, float32."""
    mine, order = learner(), draw_epoch(513, RECIPE, 0, CPU)
    torch.manual_seed(RECIPE.seed)
    plain = Reference()
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    total = 0.0
    for start in range(0, 513, 64):
        images, labels = take_batch(train_data, order, slice(start, start + 64))
        loss = functional.cross_entropy(plain(images.contiguous()), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
    state = Position()
    assert train_epoch(mine, train_data, state, never)
    assert state.loss_sum == pytest.approx(total, rel=1e-4)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(mine.network.state_dict()[name].contiguous(), value, atol=2e-4, rtol=0)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
def test_every_precision_learns(precision: torch.dtype, train_data: Resident) -> None:
    """Float16 with its GradScaler runs here on the CPU in place of a GPU without bfloat16. 32 images are learnt."""
    it = learner(precision, replace(RECIPE, batch_size=32))
    data = replace(train_data, images=train_data.images[:32], labels=train_data.labels[:32])
    assert it.scaler.is_enabled() == (precision == torch.float16)
    losses = []
    for epoch in range(20):
        state = Position(epoch)
        train_epoch(it, data, state, never)
        losses.append(state.loss_sum / 32)
    assert losses[-1] < losses[0] / 2
    assert it.network.conv1.weight.dtype == torch.float32


def test_evaluation_counts_every_image_once(test_data: Resident) -> None:
    it = learner()
    loss, accuracy = evaluate(it, test_data)
    images, labels = take_batch(test_data, draw_epoch(201, RECIPE, 0, CPU), slice(0, 201))
    with torch.no_grad():
        logits = it.network.eval()(images)
    assert accuracy == pytest.approx((logits.argmax(1) == labels).sum().item() / 201, abs=1e-9)
    assert loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-5)


def test_ranks_together_evaluate_like_one(test_data: Resident) -> None:
    """Two ranks' shares, evaluated here one after the other without a process group, add up to the whole."""
    whole = evaluate(learner(), test_data)
    shares = []
    for rank in range(2):
        it = learner()
        it.process = Process(CPU, it.process.precision, rank, 2)
        shares.append(evaluate(it, test_data))
    for number in range(2):
        assert sum(share[number] for share in shares) == pytest.approx(whole[number], rel=1e-6)


@pytest.fixture(autouse=True)
def no_collectives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cifar10.loop.sum_over_ranks", lambda _process, values: values)


def test_no_step_waits_for_the_device(train_data: Resident, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a tensor's value is what makes Python wait: only the epoch's sum may be read."""
    reads = []
    for name in ("item", "tolist", "__float__", "__int__", "__bool__", "numpy"):
        original = getattr(torch.Tensor, name)
        counted = lambda self, *a, original=original, name=name: reads.append(name) or original(self, *a)  # noqa: E731
        monkeypatch.setattr(torch.Tensor, name, counted)
    it = learner(recipe=AUGMENTED)
    reads.clear()
    train_epoch(it, train_data, Position(), never)
    assert reads == ["__float__"]


def test_model_tables_agree() -> None:
    """The command line's models (settings.py, no torch) are the ones that can be built."""
    assert {recipe.model for recipe in RECIPES.values()} == set(MODELS)
    for recipe in RECIPES.values():
        assert build_model(recipe, CPU)(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_weights_depend_on_the_seed_only() -> None:
    same = [learner().network.conv1.weight for _ in range(2)]
    other = learner(recipe=replace(RECIPE, seed=1)).network.conv1.weight
    assert torch.equal(*same)
    assert not torch.equal(same[0], other)
