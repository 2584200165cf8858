"""What a GPU did under full load, as findings. All samples are invented."""

from __future__ import annotations

import math
from typing import Any

import pytest

from envcheck.gputests.judge_load import load_findings
from envcheck.gputests.runner import Outcome
from tests.unit.envcheck.gpu.reports import H100, load


def judged(outcome: Outcome) -> dict[str, tuple[str, str]]:
    found = load_findings(H100, outcome)
    return {item.check.removeprefix("gpu-"): (item.status.value, item.summary) for item in found}


def test_a_healthy_card_at_its_power_limit_is_ok() -> None:
    found = judged(load())
    assert {name: status for name, (status, _) in found.items()} == {"load": "ok", "clocks": "ok", "pcie": "ok"}
    assert "5000 products alike, 600.0 TFLOP/s in bf16 (61% of the card's 989.5) (8.0 s)" in found["load"][1]
    assert "power limit (normal under load); up to 61 degrees C, 698 W, 1980 MHz" in found["clocks"][1]
    assert "generation 5 x16" in found["pcie"][1]


@pytest.mark.parametrize("worst", [0.1, math.nan])
def test_a_product_that_changes_under_load_fails_and_the_rest_is_still_said(worst: float) -> None:
    found = judged(load(worst=worst))
    assert [status for status, _ in found.values()] == ["fail", "ok", "ok"]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("hw_slowdown", "hardware slows it down"),
        ("sw_thermal", "too hot"),
        ("hw_thermal", "too hot"),
        ("hw_power_brake", "power supply"),
    ],
)
def test_clocks_that_are_held_back_are_a_warning_and_a_single_sample_is_not(reason: str, text: str) -> None:
    status, summary = judged(load(reasons={reason: 8}))["clocks"]
    assert status == "warn" and text in summary
    assert judged(load(reasons={reason: 7}))["clocks"][0] == "ok"
    assert judged(load(reasons={reason: 1}, samples=2))["clocks"][0] == "ok"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"pcie_width": 8}, "warn"),
        ({"pcie_generation": 3}, "warn"),
        ({"pcie_width": 8, "pcie_width_max": 8}, "ok"),
        ({"pcie_width": 8, "pcie_slot": 8}, "ok"),
        ({"pcie_width": 4, "pcie_slot": 8}, "warn"),
        ({"pcie_generation": 4, "pcie_generation_max": 4}, "ok"),
        ({"pcie_width": 0}, "skip"),
        ({"pcie_generation": None, "pcie_code": 3}, "skip"),
    ],
    ids=[
        "width",
        "generation",
        "x8 slot",
        "x16 card in an x8 slot",
        "half of an x8 slot",
        "gen 4 slot",
        "none in a virtual machine",
        "not supported",
    ],
)
def test_the_link_is_compared_with_what_the_slot_allows(changes: dict[str, Any], status: str) -> None:
    assert judged(load(**changes))["pcie"][0] == status


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"sampler_error": "NVML does not load: libnvidia-ml.so.1"}, "does not load"),
        ({"samples": 1}, "fewer than two"),
        ({"reasons_code": 3}, "NVML_ERROR_NOT_SUPPORTED"),
    ],
)
def test_what_cannot_be_read_is_skipped_with_the_reason(changes: dict[str, Any], text: str) -> None:
    status, summary = judged(load(**changes))["clocks"]
    assert status == "skip" and text in summary


def test_a_load_that_crashed_is_one_failure() -> None:
    outcome = Outcome({"load": {"error": "AcceleratorError: CUDA error: unspecified launch failure", "code": 719}})
    assert [status for status, _ in judged(outcome).values()] == ["fail"]
