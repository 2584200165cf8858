"""What findings about CUDA tell beyond their cause: the exact command, the mask, the names. Machines are invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from envcheck.checks import BY_ID
from envcheck.facts import CudaDevice, Facts
from tests.unit.envcheck.machines import change, gpu_host
from tests.unit.envcheck.rules.cases import cuda, health, logged, told, without_cuda, xid


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


GONE = xid(79, pci="0000:65:00")
UNREMAPPABLE = {"remap_failure": True}


@pytest.mark.parametrize(
    ("facts", "code", "cause", "words"),
    [
        (logged(GONE), 999, "gpu-fallen-off-bus", "Xid 79"),
        (logged(GONE), 100, "gpu-fallen-off-bus", "Xid 79"),
        (logged(GONE), 3, "gpu-fallen-off-bus", "Xid 79"),
        (logged(GONE), 46, "gpu-fallen-off-bus", "Xid 79"),
        (logged(xid(95), facts=health(**UNREMAPPABLE)), 214, "gpu-memory-ecc", "Xid 95"),
        (health(**UNREMAPPABLE), 214, "gpu-memory-ecc", "row remapping failed"),
        (health(compute_mode=2), 46, "cuda-device-busy", "prohibited"),
        (health(mig=True), 100, "cuda-devices-masked", "0 MIG instances"),
        (health(mig=True), 101, "cuda-devices-masked", "0 MIG instances"),
        (health(fabric_state=2), 802, "cuda-fabric-manager", "in progress"),
        # A number that tells its cause itself is not talked over.
        (logged(GONE), 803, "cuda-compat-mismatch", "803"),
        (logged(GONE), 804, "cuda-forward-compat-unsupported", "804"),
        (health(compute_mode=2), 34, "cuda-stub-library", "34"),
        (replace(logged(GONE), environment={"CUDA_VISIBLE_DEVICES": "7"}), 100, "cuda-devices-masked", "=7"),
        (replace(logged(GONE), environment={"CUDA_VISIBLE_DEVICES": "7"}), 999, "gpu-fallen-off-bus", "Xid 79"),
        (logged(xid(79)), 999, "cuda-unknown-init", "999"),
        # A card that works by its own account explains nothing.
        (logged(xid(13)), 999, "cuda-unknown-init", "999"),
        (health(compute_mode=3), 46, "cuda-device-busy", "busy"),
    ],
)
def test_an_error_that_a_cards_condition_explains_is_told_by_it(
    facts: Facts, code: int, cause: str, words: str
) -> None:
    finding = BY_ID["cuda-init"].judge(without_cuda(facts, code))
    assert (finding.status.value, finding.cause) == ("fail", cause)
    assert words in " ".join([finding.summary, *finding.evidence])


def test_what_the_log_warns_of_is_evidence_and_no_more() -> None:
    finding = BY_ID["cuda-init"].judge(without_cuda(logged(xid(119, "Timeout waiting for RPC from GSP")), 999))
    assert finding.cause == "cuda-unknown-init"
    assert any("Timeout waiting for RPC" in line for line in finding.evidence)


def test_the_fix_is_the_conditions_own() -> None:
    finding = BY_ID["cuda-init"].judge(without_cuda(health(mig=True), 100))
    assert finding.fix[0].startswith("sudo nvidia-smi mig -i 0 -cgi 0 -C")
    hmm = told(cuda(802), "nvidia-uvm: uvm_pmm_gpu.c:1 request_free_mem_region() err -34")
    assert "uvm_disable_hmm=1" in BY_ID["cuda-init"].judge(hmm).fix[0]
