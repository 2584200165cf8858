"""CUDA errors as the real PyTorch tells them over a fake libcuda (simulated); one that hangs, one that aborts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from envcheck.checks import BY_ID
from envcheck.probes.child import start_hosted
from envcheck.probes.torch import MODULE, torch_facts
from tests.torch.envcheck.wheel import PYTHON, SOURCES, by_check, compile_library, envcheck, needs_torch
from tests.unit.envcheck.machines import gpu_host

pytestmark = needs_torch


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("driver") / "lib"
    compile_library(directory, "libcuda.so.1", SOURCES / "libcuda.c")
    return compile_library(directory, "libnvidia-ml.so.1", SOURCES / "libnvml.c")


@pytest.mark.parametrize(
    ("variable", "value", "cause"),
    [
        ("FAKE_CUDA_INIT", "3", "cuda-unknown-init"),
        ("FAKE_CUDA_INIT", "34", "cuda-stub-library"),
        ("FAKE_CUDA_VERSION", "11080", "driver-too-old"),
        ("FAKE_CUDA_INIT", "46", "cuda-device-busy"),
        ("FAKE_CUDA_INIT", "101", "cuda-devices-masked"),
        ("FAKE_CUDA_INIT", "214", "gpu-memory-ecc"),
        ("FAKE_CUDA_INIT", "802", "cuda-fabric-manager"),
        ("FAKE_CUDA_INIT", "803", "cuda-compat-mismatch"),
        ("FAKE_CUDA_INIT", "804", "cuda-forward-compat-unsupported"),
        ("FAKE_CUDA_INIT", "999", "cuda-unknown-init"),
        ("FAKE_CUDA_INIT", "100", None),  # PyTorch says nothing at all here
    ],
)
def test_what_pytorch_says_of_an_error_leads_to_its_cause(
    driver: Path, variable: str, value: str, cause: str | None
) -> None:
    environ = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(driver), variable: value}
    seen = torch_facts(start_hosted(str(PYTHON), MODULE, "0", "cuda", environ=environ).finish(120))
    assert seen.cuda_available is False
    assert (seen.cuda_warning is None) is (cause is None), seen.cuda_warning
    # CUDA works for every other program on this machine, so that PyTorch's own words are all there is.
    facts = replace(gpu_host(), torch=replace(seen, cuda="12.8", python="python"))
    finding = BY_ID["torch-cuda"].judge(facts)
    assert (finding.status.value, finding.cause) == ("fail", cause), finding


def test_a_libcuda_that_hangs_is_named_and_pytorch_is_still_looked_at(driver: Path, tmp_path: Path) -> None:
    code, report = envcheck(tmp_path, LD_LIBRARY_PATH=str(driver), FAKE_CUDA_HANG="1", ENVCHECK_TIMEOUT="20")
    findings = by_check(report)
    assert (code, report["root_cause"]) == (1, "cuda-unknown-init")
    assert "did not answer in time" in findings["cuda-init"]["summary"]
    assert (findings["torch-build"]["status"], findings["torchvision-nms"]["status"]) == ("ok", "ok")
    assert findings["torch-cuda"]["status"] == "skip"


def test_a_libcuda_that_aborts_hides_nothing_else(driver: Path, tmp_path: Path) -> None:
    code, report = envcheck(tmp_path, LD_LIBRARY_PATH=str(driver), FAKE_CUDA_ABORT="1")
    findings = by_check(report)
    assert (code, report["root_cause"]) == (1, "cuda-unknown-init")
    assert "SIGABRT" in findings["cuda-init"]["summary"]
    assert (findings["torch-build"]["status"], findings["all-reduce"]["status"]) == ("ok", "ok")
