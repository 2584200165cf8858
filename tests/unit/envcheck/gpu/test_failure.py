"""Error texts and numbers to causes. The texts are those of PyTorch, cuDNN, torchvision and NCCL, paths left out."""

from __future__ import annotations

import pytest

from envcheck.facts import Crash
from envcheck.gputests.failure import cause_of, failed
from envcheck.gputests.runner import Outcome


@pytest.mark.parametrize(
    ("error", "code", "cause"),
    [
        ("CUDA error: no kernel image is available for execution on the device", None, "arch-unsupported"),
        ("cuDNN version 91100 is not compatible with devices with SM < 7.5.", None, "arch-unsupported"),
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", None, "gpu-out-of-memory"),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", None, "gpu-out-of-memory"),
        ("CUDA error: uncorrectable ECC error encountered", None, "gpu-memory-ecc"),
        ("CUDA error: an error", 214, "gpu-memory-ecc"),
        ("CUDA error: the provided PTX was compiled with an unsupported toolchain.", None, "ptx-unsupported-toolchain"),
        ("The NVIDIA driver on your system is too old (found version 11040).", None, "driver-too-old"),
        ("cuDNN error: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH", None, "cudnn-shadowed"),
        ("cuDNN version incompatibility: PyTorch was compiled against (9, 10, 2)", None, "cudnn-shadowed"),
        ("AttributeError: '_OpNamespace' 'torchvision' object has no attribute 'nms'", None, "torchvision-mismatch"),
        ("OSError: torchvision/_C.so: undefined symbol: _ZN3c10", None, "torchvision-mismatch"),
        ("InductorError: RuntimeError: Failed to find C compiler. Please specify via CC", None, "compiler-missing"),
        ("Bootstrap : no socket interface found", None, "nccl-network-interface"),
        ("Error while creating shared memory segment x (size 9): No space left on device", None, "shm-too-small"),
        ("Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 1000", None, "nccl-duplicate-gpu"),
        ("CUDA error: device-side assert triggered", 710, None),
        ("RuntimeError: something else", None, None),
        # A warning of a healthy NCCL, from its list of fallbacks.
        ("falling back to a /dev/shm/ based implementation", None, None),
    ],
)
def test_an_error_is_named_where_its_number_or_text_tells(error: str, code: int | None, cause: str | None) -> None:
    assert cause_of(error, code) == cause


def test_the_number_in_pytorchs_text_counts_where_no_other_came() -> None:
    error = "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display driver"
    finding = failed("gpu-pytorch", "GPU 0", "fails", "device", Outcome({"device": {"error": error, "code": None}}))
    assert finding.cause == "cuda-compat-mismatch"
    assert finding.evidence[-1].startswith("CUDA error 803 (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)")


def test_nccls_own_words_tell_what_its_exception_does_not() -> None:
    words = "NCCL version 2.27.3\nhost:1:1 [0] NCCL WARN Bootstrap : no socket interface found\nother"
    outcome = Outcome({"all-reduce": {"error": "RuntimeError: rank 0: DistBackendError: internal error"}}, (), words)
    finding = failed("gpu-all-reduce", "NCCL all-reduce", "fails", "all-reduce", outcome)
    assert finding.cause == "nccl-network-interface"
    assert [line for line in finding.evidence if "NCCL WARN" in line] and "other" not in finding.evidence


@pytest.mark.parametrize(
    ("crash", "cause", "evidence"),
    [
        (Crash("s", timed_out=True), "nccl-timeout", "stage s did not end in time"),
        (Crash("s", signal="SIGABRT", stderr="Could not load symbol cudnnGetProperty"), "cudnn-shadowed", "SIGABRT"),
        (Crash("s", signal="SIGKILL"), None, "want of memory"),
        (Crash("s", returncode=3), None, "exit code 3"),
    ],
)
def test_a_crash_says_how_the_process_ended(crash: Crash, cause: str | None, evidence: str) -> None:
    finding = failed("check", "name", "fails", "s", Outcome({}, (crash,)), on_hang="nccl-timeout")
    assert (finding.status.value, finding.cause) == ("fail", cause)
    assert evidence in " ".join(finding.evidence)


def test_a_stage_that_is_missing_without_any_reason_fails_and_is_not_passed_over() -> None:
    assert failed("check", "name", "fails", "s", Outcome({"import": {}})).status.value == "fail"
