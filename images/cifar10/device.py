"""Which device trains, and in which precision. Never the CPU silently: a broken GPU is an error with a next step."""

from __future__ import annotations

import json
import os
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from cifar10.distributed import Ranks
from cifar10.errors import DeviceError, UsageError

# Where the NVIDIA driver shows itself to a process, in a container and under WSL too.
DRIVER_FILES = ("dev/nvidiactl", "dev/dxg", "proc/driver/nvidia")
ENVCHECK = "run `envcheck` for the cause and its fix, or pass --device cpu to train on the CPU"


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What was seen: `cuda_problem` is None when CUDA ran; `request` is what the launcher recorded ("gpu", "cpu")."""

    cuda_problem: str | None
    driver_files: tuple[str, ...] = ()
    request: str | None = None
    request_reason: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The device type to use, and the line that says so and why."""

    type: str
    line: str


def probe_device(root: Path = Path("/")) -> DeviceFacts:
    """Look for CUDA, for signs of an NVIDIA driver, and for the launcher's request, below `root`."""
    request, reason = _read_request(root / "run/gpu-launcher/request.json")
    present = tuple(f"/{name}" for name in DRIVER_FILES if (root / name).exists())
    return DeviceFacts(_cuda_problem(), present, request, reason)


def choose_device(asked: str, facts: DeviceFacts) -> Choice:
    """Decide from "auto", "cpu" or "cuda" and the facts.

    Raises DeviceError when CUDA was asked for, or a GPU belongs to this run, and CUDA does not work.
    """
    if asked == "cpu":
        return Choice("cpu", "device: CPU, as asked with --device cpu")
    if facts.cuda_problem is None:
        return Choice("cuda", "device: CUDA")
    if asked == "cuda":
        raise DeviceError(f"--device cuda, but CUDA cannot be used: {facts.cuda_problem}", ENVCHECK)
    if facts.request == "cpu":
        return Choice("cpu", f"device: CPU, as requested when this container was started{_because(facts)}")
    signs = ("the launcher's request for a GPU",) if facts.request == "gpu" else facts.driver_files
    if signs:
        raise DeviceError(f"a GPU belongs here ({', '.join(signs)}), but CUDA fails: {facts.cuda_problem}", ENVCHECK)
    return Choice("cpu", f"device: CPU, because no NVIDIA GPU or driver is here ({facts.cuda_problem})")


def open_device(choice: Choice, ranks: Ranks) -> torch.device:
    """The torch device of this rank, made current. Raises UsageError when there are more local ranks than GPUs."""
    if choice.type == "cpu":
        return torch.device("cpu")
    if ranks.local >= torch.cuda.device_count():
        raise UsageError(
            f"{ranks.local_size} processes on this machine, but {torch.cuda.device_count()} usable GPUs",
            f"start torchrun with --nproc-per-node {torch.cuda.device_count()}",
        )
    device = torch.device("cuda", ranks.local)
    torch.cuda.set_device(device)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    return device


def choose_precision(asked: str, device: torch.device) -> torch.dtype:
    """The autocast type: bfloat16 where the hardware has it, else float16 on tensor cores, else float32.

    Raises UsageError for float16 on a CPU: it would be slower, and needs loss scaling.
    """
    if asked == "auto":
        if device.type == "cuda":
            return cuda_precision(torch.cuda.get_device_capability(device))
        return torch.bfloat16 if _cpu_multiplies_bfloat16() else torch.float32
    if asked == "float16" and device.type == "cpu":
        raise UsageError("--precision float16 is for CUDA only", "use --precision bfloat16 or float32 on a CPU")
    return {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}[asked]


def cuda_precision(capability: tuple[int, int]) -> torch.dtype:
    """The fastest type of a compute capability: bfloat16 from 8.0 (Ampere), float16 from 7.0 (Volta), else float32."""
    if capability >= (8, 0):
        return torch.bfloat16
    return torch.float16 if capability >= (7, 0) else torch.float32


def start_clock(device: torch.device) -> Callable[[], float]:
    """Begin to measure; what is returned waits for the device and gives the seconds, on CUDA by its own events."""
    if device.type == "cpu":
        begun = time.monotonic()
        return lambda: time.monotonic() - begun
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()

    def read() -> float:
        last.record()
        last.synchronize()
        return first.elapsed_time(last) / 1000

    return read


def device_name(device: torch.device) -> str:
    """The GPU's name, or the CPU's model name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


def _because(facts: DeviceFacts) -> str:
    return f" ({facts.request_reason})" if facts.request_reason else ""


def _read_request(path: Path) -> tuple[str | None, str]:
    try:
        request = json.loads(path.read_text())
        return request.get("device"), str(request.get("reason") or "")
    except (OSError, ValueError, AttributeError):
        return None, ""


def _cuda_problem() -> str | None:
    """None when a kernel ran on the GPU, else torch's own reason in one line."""
    if torch.version.cuda is None:
        return "this build of torch has no CUDA"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # is_available() warns with the text that init() raises
            torch.cuda.init()
            torch.zeros(1, device="cuda").add_(1).item()
    except (RuntimeError, AssertionError) as error:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        note = "" if hidden is None else f" (CUDA_VISIBLE_DEVICES={hidden!r})"
        # Without torch's advice ("Please check ..."): ours is one line, and envcheck knows the machine.
        return re.sub(r"\.?\s*Please .*", "", str(error).strip().splitlines()[0]) + note
    return None


def _cpu_multiplies_bfloat16() -> bool:
    # Without these instructions bfloat16 is emulated and slower than float32. The names are torch internals:
    # a torch that lacks them costs speed, not correctness.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)
