"""What the programs of single GPUs report, as findings. All reports are invented."""

from __future__ import annotations

import math
from typing import Any

import pytest

from envcheck.facts import Crash
from envcheck.finding import Finding
from envcheck.gputests.judge import gpu_findings, gpus_of, kernel_findings
from envcheck.gputests.runner import Outcome
from tests.unit.envcheck.gpu.reports import H100, MIG, SECOND, STAGES, alone, product

NAMES = ("pytorch", "matmul", "matmul-tf32", "matmul-bf16", "convolution", "nms", "compile", "memory")


def judged(outcome: Outcome) -> dict[str, Finding]:
    return {finding.check.removeprefix("gpu-"): finding for finding in gpu_findings(H100, STAGES, outcome)}


def test_a_healthy_gpu_is_ok_in_every_proof_with_its_figures() -> None:
    found = judged(alone())
    assert {name: item.status.value for name, item in found.items()} == dict.fromkeys(NAMES, "ok")
    assert "deviation 1.9e-03 of 7.8e-03 allowed, 650.0 TFLOP/s in bf16 (66% of the card's 989.5)" in (
        found["matmul-bf16"].summary
    )
    assert "cuDNN 9.10.2" in found["convolution"].summary
    assert "80.0 GiB written and read back right (0.6 s)" in found["memory"].summary


@pytest.mark.parametrize("gpu", [SECOND, MIG], ids=["unlisted", "MIG"])
def test_a_card_without_a_published_peak_is_no_fault_and_gets_no_share(gpu: Any) -> None:
    found = {item.check: item for item in gpu_findings(gpu, STAGES, alone())}["gpu-matmul-bf16"]
    assert found.status.value == "ok" and "650.0 TFLOP/s in bf16 (0.4 s)" in found.summary


@pytest.mark.parametrize("worst", [1.1e-5, math.nan, math.inf])
@pytest.mark.parametrize("key", ["worst", "timed_worst"])
def test_numbers_outside_the_tolerance_fail_also_when_they_are_no_numbers(key: str, worst: float) -> None:
    found = judged(alone(matmul=product("fp32", **{key: worst, "timed_tolerance": 1e-5})))
    assert [name for name, item in found.items() if item.status.value == "fail"] == ["matmul"]
    assert found["matmul"].fix


@pytest.mark.parametrize(
    ("stage", "values", "cause"),
    [
        ("nms", {"boxes": 400, "kept": 3, "expected": 386, "equal": False, "seconds": 0.1}, None),
        (
            "memory",
            {"bytes": 80 << 30, "free": 82 << 30, "total": 84 << 30, "wrong": 1, "free_after": 82 << 30, "seconds": 1},
            "gpu-memory-ecc",
        ),
        ("convolution", {"worst": 2e-4, "tolerance": 1e-4, "cudnn": 91002, "seconds": 0.1}, None),
        ("compile", {"worst": math.nan, "tolerance": 1e-5, "seconds": 0.1}, None),
    ],
)
def test_one_wrong_result_fails_its_proof_alone(stage: str, values: dict[str, Any], cause: str | None) -> None:
    found = judged(alone(**{stage: values}))
    assert {name for name, item in found.items() if item.status.value == "fail"} == {stage}
    assert found[stage].cause == cause


def test_what_does_not_apply_is_skipped_with_its_reason_and_a_native_convolution_is_no_proof_of_cudnn() -> None:
    native = {"worst": 2e-6, "tolerance": 1e-4, "cudnn": None, "seconds": 0.1}
    reason = "this card has no bf16: that needs compute capability 8.0"
    found = judged(alone(matmul_bf16={"skip": reason, "seconds": 0.0}, convolution=native))
    assert [name for name, item in found.items() if item.status.value == "skip"] == ["matmul-bf16", "convolution"]
    assert found["matmul-bf16"].summary == f"GPU 0: matrix product in bf16: {reason}"


def test_a_crash_is_that_proofs_finding_and_the_others_keep_theirs() -> None:
    found = judged(alone(Crash("convolution", signal="SIGSEGV", returncode=-11, stderr="a\nb"), convolution=None))
    assert {name: item.status.value for name, item in found.items()} == dict.fromkeys(NAMES, "ok") | {
        "convolution": "fail"
    }
    assert found["convolution"].evidence == ("stage convolution ended with SIGSEGV", "a", "b")


def test_after_two_hangs_the_rest_is_said_not_to_have_been_tried() -> None:
    hangs = (Crash("nms", timed_out=True), Crash("compile", timed_out=True))
    found = judged(alone(*hangs, nms=None, compile=None, memory=None))
    assert [found[name].status.value for name in ("matmul", "nms", "compile", "memory")] == [
        "ok",
        "fail",
        "fail",
        "skip",
    ]
    assert "did not end in time" in found["nms"].evidence[0] and "not tried" in found["memory"].summary


def test_a_gpu_that_pytorch_cannot_reach_gives_one_finding() -> None:
    error = {"error": "AcceleratorError: CUDA error: no kernel image is available for execution on the device"}
    findings = gpu_findings(H100, STAGES, Outcome({"import": alone().stages["import"], "device": error}))
    assert [(item.check, item.status.value, item.cause) for item in findings] == [
        ("gpu-pytorch", "fail", "arch-unsupported")
    ]


def test_a_gpu_lost_in_the_middle_fails_where_it_was_lost_and_hides_nothing_before() -> None:
    lost = {"error": "RuntimeError: CUDA error: unknown error", "code": 999}
    crash = Crash("convolution", signal="SIGABRT", returncode=-6)
    found = judged(alone(crash, device=lost, convolution=None, nms=None, compile=None, memory=None))
    assert [found[name].status.value for name in NAMES] == ["fail", "ok", "ok", "ok", "fail", "skip", "skip", "skip"]


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [
        (Outcome({"import": {"version": "2.8.0+cpu", "cuda": None, "hip": None}}), "torch-cpu-only"),
        (Outcome({"import": {"version": "2.8.0+rocm6.4", "cuda": None, "hip": "6.4"}}), None),
        (Outcome({"import": {"error": "ImportError: libcudnn.so.9: undefined symbol: x"}}), "cudnn-shadowed"),
        (
            Outcome({}, (Crash("import", signal="SIGABRT", stderr="Could not load symbol cudnnGetProperty"),)),
            "cudnn-shadowed",
        ),
        (Outcome({}, (Crash("start", stderr="No such file or directory"),)), None),
        (Outcome({}), None),
    ],
    ids=["cpu", "rocm", "import error", "import abort", "no python", "silent"],
)
def test_a_pytorch_that_is_not_there_for_the_gpu_fails(outcome: Outcome, cause: str | None) -> None:
    findings = gpu_findings(H100, STAGES, outcome)
    assert [(item.check, item.status.value, item.cause) for item in findings] == [("gpu-pytorch", "fail", cause)]


def kernel(*crashes: Crash, **changes: Any) -> Outcome:
    stages = {
        "init": {"count": 2},
        "describe 0": {"index": 0, "name": "A", "uuid": "GPU-0"},
        "run 0": {"wrong": 0, "seconds": 0.1},
        "describe 1": {"index": 1, "name": "B", "uuid": "GPU-1"},
        "run 1": {"wrong": 0, "seconds": 0.1},
        **{key.replace("_", " "): value for key, value in changes.items()},
    }
    return Outcome({key: value for key, value in stages.items() if value is not None}, crashes)


def test_a_kernel_that_hangs_on_one_gpu_does_not_hide_the_other() -> None:
    outcome = kernel(Crash("run 1", timed_out=True), run_1=None)
    findings = kernel_findings(outcome)
    assert [item.status.value for item in findings] == ["ok", "fail"]
    assert findings[1].evidence == ("stage run 1 did not end in time",)
    assert [gpu.uuid for gpu in gpus_of(outcome)] == ["GPU-0", "GPU-1"]


@pytest.mark.parametrize(
    ("outcome", "statuses", "cause"),
    [
        (kernel(), ["ok", "ok"], None),
        (kernel(run_0={"wrong": 1, "seconds": 0.1}), ["fail", "ok"], None),
        (kernel(run_0={"error": "DriverError: x", "code": 209}), ["fail", "ok"], "arch-unsupported"),
        (kernel(run_0={"error": "DriverError: x", "code": 2}), ["fail", "ok"], "gpu-out-of-memory"),
        (kernel(init={"error": "DriverError: cuInit returned 802", "code": 802}), ["fail"], "cuda-fabric-manager"),
        (kernel(Crash("init", timed_out=True), init=None), ["fail"], None),
        (Outcome({}), ["fail"], None),
        (kernel(init={"count": 0}), ["skip"], None),
    ],
    ids=["right", "wrong", "209", "2", "802", "hang", "silent", "none"],
)
def test_kernels_by_what_the_driver_says(outcome: Outcome, statuses: list[str], cause: str | None) -> None:
    findings = kernel_findings(outcome)
    assert [item.status.value for item in findings] == statuses
    assert findings[0].cause == cause
