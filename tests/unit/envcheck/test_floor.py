"""What is said about a driver that is enough: in full, or with limits. Machines are invented."""

from __future__ import annotations

import pytest

from envcheck.checks import BY_ID
from envcheck.facts import Facts
from envcheck.finding import Finding
from tests.unit.envcheck.machines import change, gpu_host, inside, torch


def floor(facts: Facts) -> Finding:
    return BY_ID["driver-floor"].judge(facts)


def knows(number: int, facts: Facts) -> Facts:
    """The same machine with a driver whose CUDA version is `number`."""
    return change(facts, "cuda", driver_version=number)


def test_a_driver_of_an_older_minor_version_works_with_limits_that_are_named() -> None:
    finding = floor(knows(12000, gpu_host(driver="525.60.13")))
    assert finding.status.value == "ok"
    assert finding.summary == "driver 525.60.13 works, with limits: it knows CUDA 12.0, PyTorch is built for 12.8"
    assert any("222" in line and "570.26 or newer" in line for line in finding.evidence)


@pytest.mark.parametrize("number", [12080, 12090, 13010])
def test_a_driver_of_the_same_or_a_newer_version_has_no_limits(number: int) -> None:
    finding = floor(knows(number, gpu_host(driver="580.65.06")))
    assert finding.summary == "driver 580.65.06 is new enough"
    assert any("525.60.13" in line and "https://" in line for line in finding.evidence)


def test_a_cuda_that_the_table_does_not_know_is_told_without_a_driver() -> None:
    finding = floor(knows(12080, gpu_host(driver="580.65.06", torch=torch(cuda="12.99"))))
    assert "works, with limits" in finding.summary
    assert any("a driver for CUDA 12.99" in line and "newer)" not in line for line in finding.evidence)


def test_without_pytorch_the_image_says_what_it_is_built_for() -> None:
    bare = knows(12000, gpu_host(driver="525.60.13", torch=None))
    assert "works, with limits" in floor(inside(bare, "gpu")).summary
    assert "new enough" in floor(bare).summary


def test_under_wsl_the_cuda_version_decides_and_limits_are_told_too() -> None:
    wsl = change(gpu_host(), "driver", wsl=True, module_version=None)
    assert floor(knows(12080, wsl)).summary == "the driver supports CUDA 12.8, enough for CUDA 12"
    assert floor(knows(12040, wsl)).summary.startswith("the driver works, with limits: it knows CUDA 12.4")


def test_too_old_names_the_floor_and_where_it_is_published() -> None:
    finding = floor(gpu_host(driver="525.60.12"))
    assert "525.60.12 is older than 525.60.13" in finding.summary
    assert any("https://docs.nvidia.com" in line for line in finding.evidence)


def test_too_old_for_cudnn_names_card_and_floor() -> None:
    finding = floor(gpu_host(driver="570.25", capability="12.0", name="RTX 5090"))
    assert "570.25 is older than 570.26" in finding.summary and "RTX 5090" in finding.summary
