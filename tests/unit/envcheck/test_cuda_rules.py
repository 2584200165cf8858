"""What findings about CUDA tell beyond their cause: the exact command, the mask, the names. Machines are invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from envcheck.checks import BY_ID
from envcheck.facts import CudaDevice, Facts
from tests.unit.envcheck.machines import change, gpu_host
from tests.unit.envcheck.rules.cases import cuda


@pytest.mark.parametrize("code", [34, 803, 804])
def test_a_wrong_libcuda_from_the_library_path_is_fixed_by_the_exact_command(code: int) -> None:
    path = "/usr/local/cuda/compat/libcuda.so.570.26"
    only = replace(cuda(code, path=path), environment={"LD_LIBRARY_PATH": "/usr/local/cuda/compat/"})
    among = replace(cuda(code, path=path), environment={"LD_LIBRARY_PATH": "/a:/usr/local/cuda/compat:/b"})
    elsewhere = replace(cuda(code, path=path), environment={"LD_LIBRARY_PATH": "/a"})
    judge: Callable[[Facts], object] = lambda facts: BY_ID["cuda-init"].judge(facts).fix[0]  # noqa: E731
    assert judge(only) == "unset LD_LIBRARY_PATH"
    assert judge(among) == "export LD_LIBRARY_PATH=/a:/b"
    assert "LD_LIBRARY_PATH=" not in str(judge(elsewhere))


def test_evidence_of_a_masked_device_names_the_mask() -> None:
    finding = BY_ID["cuda-init"].judge(replace(cuda(100), environment={"CUDA_VISIBLE_DEVICES": "7"}))
    assert "CUDA_VISIBLE_DEVICES=7" in finding.evidence
    assert finding.cause == "cuda-devices-masked"


def test_a_device_count_of_cuda_is_told_with_its_names() -> None:
    two = change(gpu_host(), "cuda", device_count=2, devices=(CudaDevice(0, "A", "9.0"), CudaDevice(1, "B", "9.0")))
    finding = BY_ID["cuda-init"].judge(two)
    assert "2 GPUs" in finding.summary and any("B" in line for line in finding.evidence)
