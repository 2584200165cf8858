"""Which device works, and in which precision. Never the CPU silently: a broken GPU is an error with a next step."""

import json
import os
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from cifar10.distributed import Ranks, ranks_from_environment
from cifar10.errors import DeviceError, UsageError
from cifar10.files import text_of
from cifar10.limits import keep_freed_memory, thread_count
from cifar10.report import Display

# Where the NVIDIA driver shows itself to a process, in a container and under WSL too.
DRIVER_FILES = ("dev/nvidiactl", "dev/dxg", "proc/driver/nvidia")
ENVCHECK = "run `envcheck` for the cause and its fix, or pass --device cpu to train on the CPU"


@dataclass(frozen=True, slots=True)
class Process:
    """This process: its device and the autocast type there, its place among the ranks, and where it reports."""

    device: torch.device
    precision: torch.dtype = torch.float32
    ranks: Ranks = field(default_factory=Ranks)
    display: Display = field(default_factory=Display)


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What was seen: `cuda_problem` is None when CUDA ran; `request` is what the launcher recorded ("gpu", "cpu")."""

    cuda_problem: str | None
    driver_files: tuple[str, ...] = ()
    request: str | None = None
    request_reason: str = ""


def start(asked: str, precision: str = "auto", deterministic: bool = False) -> Process:
    """Choose the device ("auto", "cpu" or "cuda" as `asked`), say which and why, and set up threads and memory.

    `deterministic`: two runs on one kind of machine are bit-equal, on a GPU at some cost. Raises DeviceError when the
    GPU that was asked for, or that is here, cannot be used.
    """
    if deterministic:
        # https://docs.pytorch.org/docs/stable/notes/randomness.html; before the first call of cuBLAS, which reads it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    ranks = ranks_from_environment(os.environ)
    display = Display(enabled=ranks.lead)
    kind, reason = choose_device(asked, probe_device(machine()))
    device = open_device(kind, ranks)
    torch.backends.cudnn.benchmark = not deterministic
    torch.set_num_threads(thread_count(os.environ, ranks.local_size))
    keep_freed_memory()
    display.say(f"device: {reason}, {device_name(device)}" if kind == "cuda" else f"device: {reason}")
    return Process(device, choose_precision(precision, device), ranks, display)


def machine() -> Path:
    """Where this machine's files begin; with ENVCHECK_ROOT tests put another one before the image's programs."""
    return Path(os.environ.get("ENVCHECK_ROOT") or "/")


def probe_device(root: Path) -> DeviceFacts:
    """Look for CUDA, for signs of an NVIDIA driver, and for the launcher's request, below `root`."""
    present = tuple(f"/{name}" for name in DRIVER_FILES if (root / name).exists())
    request = launcher_request(root)
    return DeviceFacts(_cuda_problem(), present, request.get("device"), str(request.get("reason") or ""))


def launcher_request(root: Path) -> dict[str, Any]:
    """What the launcher recorded of this container: "device", "reason", "image", ...; empty without a launcher."""
    try:
        return dict(json.loads(text_of(root / "run/gpu-launcher/request.json")))
    except (ValueError, TypeError):
        return {}


def choose_device(asked: str, facts: DeviceFacts) -> tuple[str, str]:
    """The kind of device, "cpu" or "cuda", and the words that say so and why; `asked` is one of these or "auto".

    Raises DeviceError when CUDA was asked for, or a GPU belongs to this run, and CUDA does not work.
    """
    if asked == "cpu":
        return "cpu", "CPU, as asked with --device cpu"
    if facts.cuda_problem is None:
        return "cuda", "CUDA"
    if asked == "cuda":
        raise DeviceError(f"--device cuda, but CUDA cannot be used: {facts.cuda_problem}", ENVCHECK)
    if facts.request == "cpu":
        because = f" ({facts.request_reason})" if facts.request_reason else ""
        return "cpu", f"CPU, as requested when this container was started{because}"
    signs = ("the launcher's request for a GPU",) if facts.request == "gpu" else facts.driver_files
    if signs:
        raise DeviceError(f"a GPU belongs here ({', '.join(signs)}), but CUDA fails: {facts.cuda_problem}", ENVCHECK)
    return "cpu", f"CPU, because no NVIDIA GPU or driver is here ({facts.cuda_problem})"


def open_device(kind: str, ranks: Ranks) -> torch.device:
    """This rank's device of that kind, made current. Raises UsageError when there are more local ranks than GPUs."""
    if kind == "cpu":
        return torch.device("cpu")
    if ranks.local >= torch.cuda.device_count():
        raise UsageError(
            f"{ranks.local_size} processes on this machine, but {torch.cuda.device_count()} usable GPUs",
            f"start torchrun with --nproc-per-node {torch.cuda.device_count()}",
        )
    torch.cuda.set_device(ranks.local)
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda", ranks.local)


def choose_precision(asked: str, device: torch.device) -> torch.dtype:
    """The autocast type: bfloat16 where the hardware has it, else float16 on tensor cores, else float32.

    Raises UsageError for float16 on a CPU: it would be slower, and needs loss scaling.
    """
    if asked == "auto" and device.type == "cuda":
        return cuda_precision(torch.cuda.get_device_capability(device))
    if asked == "auto":
        # Without these instructions bfloat16 is emulated and slower than float32. The names are torch internals:
        # a torch that lacks them costs speed, not correctness.
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return torch.bfloat16 if any(getattr(torch.cpu, name, bool)() for name in names) else torch.float32
    if asked == "float16" and device.type == "cpu":
        raise UsageError("--precision float16 is for CUDA only", "use --precision bfloat16 or float32 on a CPU")
    return getattr(torch, asked)


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
    found = re.search(r"model name\s*: (.*)", text_of(Path("/proc/cpuinfo")))
    return found[1] if found else "CPU"


def _cuda_problem() -> str | None:
    """None when a kernel ran on the GPU, else torch's own reason in one line."""
    if torch.version.cuda is None:
        return "this build of torch has no CUDA"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # is_available() warns with the text that init() raises
            torch.zeros(1, device="cuda").add_(1).item()
    except (RuntimeError, AssertionError) as error:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        note = "" if hidden is None else f" (CUDA_VISIBLE_DEVICES={hidden!r})"
        # Without torch's advice ("Please check ..."): ours is one line, and envcheck knows the machine.
        return re.sub(r"\.?\s*Please .*", "", str(error).strip().splitlines()[0]) + note
    return None
