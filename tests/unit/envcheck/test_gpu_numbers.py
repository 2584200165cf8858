"""What the GPU programs report, as findings. The reports are invented; no GPU is used."""

from __future__ import annotations

import math
from typing import Any

import pytest

from envcheck.facts import Crash
from envcheck.gputests.judge import gpus_of, kernel_findings, number_findings
from envcheck.probes.child import Ended

IMPORTED = {"count": 1, "version": "2.8.0+cu128"}


def numbers(**stages: dict[str, Any]) -> Ended:
    good = {"worst": 1e-6, "tolerance": 1e-5, "seconds": 0.1}
    return Ended({"import": IMPORTED, "matmul 0": good, "convolution 0": good, **stages}, None)


def test_numbers_within_the_tolerance_are_ok() -> None:
    assert [item.status.value for item in number_findings(numbers())] == ["ok", "ok"]


@pytest.mark.parametrize("worst", [1.1e-5, math.nan, math.inf])
def test_numbers_outside_it_fail_also_when_they_are_no_numbers(worst: float) -> None:
    bad = {"matmul 0": {"worst": worst, "tolerance": 1e-5, "seconds": 0.1}}
    assert [item.status.value for item in number_findings(numbers(**bad))] == ["fail", "ok"]


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device", "arch-unsupported"),
        ("OutOfMemoryError: CUDA out of memory", "gpu-out-of-memory"),
        ("RuntimeError: something else", None),
    ],
)
def test_an_error_in_pytorch_is_named_where_its_text_tells(error: str, cause: str | None) -> None:
    finding = number_findings(numbers(**{"convolution 0": {"error": error}}))[1]
    assert (finding.check, finding.status.value, finding.cause) == ("gpu-convolution", "fail", cause)


def test_a_pytorch_that_sees_no_gpu_fails() -> None:
    empty = Ended({"import": {"count": 0, "version": "2.8.0+cpu"}}, None)
    assert [item.status.value for item in number_findings(empty)] == ["fail"]


def test_a_kernel_that_hangs_on_one_gpu_does_not_hide_the_other() -> None:
    stages: dict[str, dict[str, Any]] = {
        "init": {"count": 2},
        "describe 0": {"index": 0, "name": "A", "uuid": "GPU-0"},
        "run 0": {"wrong": 0, "seconds": 0.1},
        "describe 1": {"index": 1, "name": "B", "uuid": "GPU-1"},
    }
    ended = Ended(stages, Crash("run 1", timed_out=True))
    assert [item.status.value for item in kernel_findings(ended)] == ["ok", "fail"]
    assert "run 1 did not end in time" in kernel_findings(ended)[1].evidence[0]
    assert [gpu.uuid for gpu in gpus_of(ended)] == ["GPU-0", "GPU-1"]
