"""The numeric proofs with the real PyTorch, a CPU in the place of the GPU: right numbers pass, wrong ones show."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch

from envcheck.gputests.programs import nms as nms_program
from envcheck.gputests.programs.compile import compiled
from envcheck.gputests.programs.convolution import convolution
from envcheck.gputests.programs.harness import NotApplicable, deviation, largest
from envcheck.gputests.programs.load import sustained
from envcheck.gputests.programs.matmul import matmul
from envcheck.gputests.programs.memory import memory
from envcheck.gputests.programs.nms import nms, suppressed
from envcheck.gputests.programs.sampler import Sampler
from tests.torch.envcheck.cpu import GIBIBYTE, Cpu

PASCAL, TURING = (6, 1), (7, 5)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def passes(values: dict[str, Any]) -> bool:
    return bool(values["worst"] <= values["tolerance"])


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_products_agree_with_double_precision_within_the_tolerance(precision: str) -> None:
    values = matmul(torch, Cpu(torch), 0, precision, order=512, timed=0.01)
    assert passes(values) and values["timed_worst"] <= values["timed_tolerance"]
    assert values["tflops"] > 0
    # The settings are those of a fresh PyTorch again.
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction is True


def test_fp32_that_is_really_computed_in_tf32_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated: inputs cut to tf32's 10 fraction bits, the form in which tensor cores take them."""
    true = torch.Tensor.__matmul__

    def cut(values: torch.Tensor) -> torch.Tensor:
        return (values.view(torch.int32) & ~0x1FFF).view(torch.float32) if values.dtype == torch.float32 else values

    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda left, right: true(cut(left), cut(right)))
    values = matmul(torch, Cpu(torch), 0, "fp32", order=512, timed=0.01)
    assert not passes(values) and values["timed_worst"] > values["timed_tolerance"]
    # And tf32 itself stays within what it is allowed.
    assert passes(matmul(torch, Cpu(torch), 0, "tf32", order=512, timed=0.01))


@pytest.mark.parametrize("value", [math.nan, math.inf, 1000.0])
def test_a_single_wrong_element_shows(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    true = torch.Tensor.__matmul__

    def broken(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        result = true(left, right)
        if left.dtype == torch.float32:
            result[-1, -1] = value
        return result

    monkeypatch.setattr(torch.Tensor, "__matmul__", broken)
    assert not passes(matmul(torch, Cpu(torch), 0, "fp32", order=512, timed=0.01))


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_what_the_card_lacks_does_not_apply(precision: str) -> None:
    with pytest.raises(NotApplicable, match=f"no {precision}"):
        matmul(torch, Cpu(torch, capability=TURING), 0, precision, order=64, timed=0.01)
    assert passes(matmul(torch, Cpu(torch, capability=TURING), 0, "fp32", order=64, timed=0.01))


def test_a_convolution_and_its_gradients_agree_and_a_cpu_is_not_cudnn() -> None:
    before = torch.backends.cudnn.allow_tf32
    values = convolution(torch, Cpu(torch), 0)
    assert passes(values) and values["cudnn"] is None
    assert values["worst"] == max(
        values[name] for name in ("forward", "input_gradient", "weight_gradient", "bias_gradient")
    )
    assert torch.backends.cudnn.allow_tf32 == before


def test_a_wrong_gradient_shows_although_the_output_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    true = torch.autograd.grad

    def broken(output: Any, leaves: Any, gradient: Any) -> Any:
        first, weight, bias = true(output, leaves, gradient)
        return first, weight * (1.001 if weight.dtype == torch.float32 else 1), bias

    monkeypatch.setattr(torch.autograd, "grad", broken)
    values = convolution(torch, Cpu(torch), 0)
    assert not passes(values) and values["forward"] < values["tolerance"] < values["weight_gradient"]


def test_nms_keeps_the_boxes_that_plain_python_keeps() -> None:
    pytest.importorskip("torchvision")
    values = nms(torch, Cpu(torch), 0)
    assert values["equal"] and 0 < values["kept"] == values["expected"] < values["boxes"]


def test_plain_nms_drops_the_worse_of_two_that_overlap_by_more_than_one_half() -> None:
    boxes = [(0, 0, 10, 10), (1, 1, 11, 11), (20, 20, 30, 30), (20, 20, 30, 40)]
    assert suppressed(boxes, [0.9, 0.8, 0.7, 0.6]) == [0, 2, 3]
    assert suppressed(boxes, [0.8, 0.9, 0.6, 0.7]) == [1, 3, 2]


def test_nms_that_keeps_others_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchvision")
    shifted = nms_program._boxes(random.Random(1))
    monkeypatch.setattr(nms_program, "suppressed", lambda boxes, scores: suppressed(*shifted))
    assert not nms(torch, Cpu(torch), 0)["equal"]


def test_without_torchvision_nms_does_not_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise nms_program.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(nms_program.importlib.metadata, "distribution", absent)
    with pytest.raises(NotApplicable, match="not installed"):
        nms(torch, Cpu(torch), 0)


def test_compiling_does_not_apply_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(NotApplicable, match=r"no C\+\+ compiler"):
        compiled(torch, Cpu(torch), 0)


def test_compiling_does_not_apply_to_a_card_that_triton_does_not_know() -> None:
    class Pascal(Cpu):
        def device(self, index: int) -> str:
            return "cuda:0"

    with pytest.raises(NotApplicable, match=r"compute capability 7\.0"):
        compiled(torch, Pascal(torch, capability=PASCAL), 0)


def test_memory_is_written_read_and_given_back() -> None:
    values = memory(torch, Cpu(torch), 0)
    assert (values["bytes"], values["wrong"]) == (GIBIBYTE // 2, 0)


def test_memory_that_loses_a_bit_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    true = torch.Tensor.fill_

    def broken(self: torch.Tensor, value: int) -> torch.Tensor:
        true(self, value)
        self[12345] |= 1 << 7
        return self

    monkeypatch.setattr(torch.Tensor, "fill_", broken)
    # Bit 7 is 0 in the first pattern and 1 in the second: a bit that is stuck shows in exactly one of them.
    assert memory(torch, Cpu(torch), 0)["wrong"] == 1


@pytest.mark.parametrize(
    ("cpu", "reason"),
    [
        (Cpu(torch, integrated=True), "shares the system's memory"),
        (Cpu(torch, memory=(7 * GIBIBYTE, 10 * GIBIBYTE)), r"3\.0 of 10\.0 GiB are in use"),
        (Cpu(torch, memory=(GIBIBYTE // 4, GIBIBYTE // 4)), "less memory"),
    ],
)
def test_memory_that_others_need_is_left_alone(cpu: Cpu, reason: str) -> None:
    with pytest.raises(NotApplicable, match=reason):
        memory(torch, cpu, 0)


def test_load_runs_its_time_and_a_result_that_changes_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler("GPU-0", library="/nonexistent.so")
    values = sustained(torch, Cpu(torch), 0, sampler, order=64, seconds=0.3)
    assert passes(values) and values["worst"] == 0.0 and values["loaded"] >= 0.3 and values["rounds"] > 0
    true, calls = torch.matmul, iter(range(10**9))

    def broken(*given: Any, **options: Any) -> Any:
        result = true(*given, **options)
        return result.mul_(math.nan) if next(calls) > 20 else result

    monkeypatch.setattr(torch, "matmul", broken)
    assert math.isnan(sustained(torch, Cpu(torch), 0, sampler, order=64, seconds=0.3)["worst"])


def test_the_largest_of_numbers_is_nan_wherever_nan_stands() -> None:
    assert largest([1.0, 3.0, 2.0]) == 3.0
    assert math.isnan(largest([math.nan, 1.0])) and math.isnan(largest([1.0, math.nan]))
    assert math.isnan(deviation(torch.tensor([1.0, math.nan]), torch.tensor([1.0, 2.0])))
