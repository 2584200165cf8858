"""Invented reports of the GPU programs: healthy ones, to be broken one value at a time. No GPU is used."""

from __future__ import annotations

from typing import Any

from envcheck.facts import Crash
from envcheck.gputests.judge import Gpu
from envcheck.gputests.levels import NUMBERS
from envcheck.gputests.runner import Outcome

H100 = Gpu(0, "GPU-00000000-0000-0000-0000-000000000000", "NVIDIA H100 80GB HBM3")
SECOND = Gpu(1, "GPU-11111111-1111-1111-1111-111111111111", "A future card")
MIG = Gpu(0, "MIG-22222222-2222-2222-2222-222222222222", "NVIDIA A100-SXM4-40GB MIG 1g.5gb")
STAGES = (*NUMBERS, "compile", "memory")
Stages = dict[str, dict[str, Any]]


def product(precision: str, **changes: Any) -> dict[str, Any]:
    healthy = {
        "precision": precision,
        "worst": 1e-6,
        "tolerance": 1e-5,
        "order": 4096,
        "timed_worst": 2e-6,
        "timed_tolerance": 4e-5,
        "tflops": 33.5,
        "seconds": 0.4,
    }
    return {**healthy, **changes}


def imported() -> dict[str, Any]:
    return {"version": "2.8.0+cu128", "cuda": "12.8", "hip": None}


def alone(*crashes: Crash, words: str = "", **changes: dict[str, Any] | None) -> Outcome:
    """What one H100's program reports; a change of None means that the stage was never reported."""
    healthy: Stages = {
        "import": imported(),
        "device": {
            "name": "NVIDIA H100 80GB HBM3",
            "capability": [9, 0],
            "memory": 85520809984,
            "integrated": False,
            "seconds": 0.5,
        },
        "matmul": product("fp32"),
        "matmul_tf32": product("tf32"),
        "matmul_bf16": product("bf16", worst=1.9e-3, tolerance=2.0**-7, tflops=650.0),
        "convolution": {"worst": 2e-6, "tolerance": 1e-4, "cudnn": 91002, "forward": 2e-6, "seconds": 0.3},
        "nms": {"version": "0.23.0", "boxes": 400, "kept": 386, "expected": 386, "equal": True, "seconds": 0.1},
        "compile": {"worst": 1e-7, "tolerance": 1e-5, "seconds": 9.0},
        "memory": {"bytes": 80 << 30, "free": 82 << 30, "total": 84 << 30, "wrong": 0, "free_after": 82 << 30}
        | {"seconds": 0.6},
    }
    stages = {key.replace("_", "-"): value for key, value in {**healthy, **changes}.items() if value is not None}
    return Outcome(stages, crashes, words)


def load(**changes: Any) -> Outcome:
    healthy = {
        "precision": "bf16",
        "worst": 0.0,
        "tolerance": 2.0**-7,
        "rounds": 5000,
        "loaded": 8.0,
        "tflops": 600.0,
        "samples": 80,
        "reasons": {"sw_power_cap": 60, "hw_slowdown": 0, "sw_thermal": 0, "hw_thermal": 0, "hw_power_brake": 0},
        "pcie_generation": 5,
        "pcie_generation_max": 5,
        "pcie_width": 16,
        "pcie_width_max": 16,
        "temperature": 61,
        "milliwatts": 698000,
        "megahertz": 1980,
        "seconds": 8.5,
    }
    reasons = {**healthy["reasons"], **changes.pop("reasons", {})}  # type: ignore[dict-item]
    return Outcome({"import": imported(), "load": {**healthy, **changes, "reasons": reasons}})


def copied(**changes: Any) -> dict[str, Any]:
    return {"bytes": 1 << 26, "to_device": 55.0, "to_host": 53.0, "wrong": 0, "seconds": 0.1, **changes}


def peer(**changes: Any) -> dict[str, Any]:
    return {"bytes": 1 << 26, "direct": True, "rate": 370.0, "wrong": 0, "seconds": 0.1, **changes}


def reduced(**changes: Any) -> dict[str, Any]:
    return {"ranks": 2, "bytes": 1 << 28, "rate": 180.0, "bus": 180.0, "wrong": 0, "seconds": 3.0, **changes}


def transfers(*crashes: Crash, **changes: dict[str, Any] | None) -> Outcome:
    """Two GPUs; keys as `peer_0_1`."""
    healthy: Stages = {"import": imported(), "copy_0": copied(), "copy_1": copied(), "peer_0_1": peer()}
    healthy["peer_1_0"] = peer()
    stages = {key.replace("_", " "): value for key, value in {**healthy, **changes}.items() if value is not None}
    return Outcome(stages, crashes)
