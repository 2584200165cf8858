"""Which device works, and in which precision. Never the CPU silently: a broken GPU is an error with a next step."""

import ctypes
import os
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from joblib import cpu_count

from cifar10.distributed import Process
from cifar10.errors import DeviceError, UsageError
from cifar10.report import ranks, say
from envcheck.collect import system_root
from envcheck.facts import Container, Facts, Hardware
from envcheck.presence import Presence, presence
from envcheck.probes.container import probe_request
from envcheck.probes.hardware import probe_hardware
from envcheck.probes.paths import read_text

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
ENVCHECK = "run `envcheck` for the cause and its fix, or pass --device cpu to train on the CPU"


def start(asked: str, precision: str = "auto", deterministic: bool = False) -> Process:
    """Choose the device ("auto", "cpu" or "cuda" as `asked`), say which and why, and set up threads and memory.

    `deterministic`: two runs on one kind of machine are bit-equal, on a GPU at some cost. Raises DeviceError when the
    GPU that was asked for, or that is here, cannot be used, and UsageError when there are more local ranks than GPUs.
    """
    if deterministic:
        # https://docs.pytorch.org/docs/stable/notes/randomness.html; before the first call of cuBLAS, which reads it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    (*_, local, local_size), root = ranks(), system_root()
    problem = None if asked == "cpu" else cuda_problem(local)
    facts = Facts(
        container=Container(request=probe_request(root)), hardware=probe_hardware(root) if problem else Hardware()
    )
    kind, reason = choose_device(asked, problem, presence(facts))
    device = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        if local_size > (count := torch.cuda.device_count()):
            cause = f"{local_size} processes on this machine, but {count} usable GPUs"
            raise UsageError(cause, f"start torchrun with --nproc-per-node {count}")
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = not deterministic
    # joblib knows affinity and a container's CPU quota: many more threads than that are slower than one.
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(int(wanted) if re.fullmatch("0*[1-9][0-9]*", wanted) else max(1, cpu_count() // local_size))
    keep_freed_memory()
    say(f"device: {reason}")
    return Process(device, choose_precision(precision, device), *ranks())


def choose_device(asked: str, problem: str | None, here: Presence) -> tuple[str, str]:
    """The kind of device, "cpu" or "cuda", and the words that say so and why; `asked` is one of these or "auto".

    `problem` is None where CUDA works; `here` is envcheck's rule of whether a GPU belongs to this machine or container.
    Raises DeviceError when CUDA was asked for, or a GPU belongs here, and CUDA does not work.
    """
    if asked == "cpu":
        return "cpu", "CPU, as asked with --device cpu"
    if problem is None:
        return "cuda", f"CUDA, {torch.cuda.get_device_name()}"
    if asked == "cuda":
        raise DeviceError(f"--device cuda, but CUDA cannot be used: {problem}", ENVCHECK)
    if here.expected:
        raise DeviceError(f"a GPU belongs here ({here.reason}), but CUDA fails: {problem}", ENVCHECK)
    return "cpu", f"CPU, because {here.reason} ({problem})"


def cuda_problem(index: int = 0) -> str | None:
    """None when a kernel ran on that GPU, or the first where there is none, else torch's own reason in one line."""
    if torch.version.cuda is None:
        return "this build of torch has no CUDA"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # is_available() warns with the text that init() raises
            device = torch.device("cuda", index if index < torch.cuda.device_count() else 0)
            torch.zeros(1, device=device).add_(1).item()
    except (RuntimeError, AssertionError) as error:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        note = "" if hidden is None else f" (CUDA_VISIBLE_DEVICES={hidden!r})"
        # Without torch's advice ("Please check ..."): ours is one line, and envcheck knows the machine.
        return re.sub(r"\.?\s*Please .*", "", str(error).strip().splitlines()[0]) + note
    return None


def choose_precision(asked: str, device: torch.device) -> torch.dtype:
    """The fastest autocast type that the hardware multiplies. Raises UsageError for float16 on a CPU."""
    if asked == "auto" and device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)  # 8.0 is Ampere, 7.0 Volta
        return torch.bfloat16 if capability >= (8, 0) else torch.float16 if capability >= (7, 0) else torch.float32
    if asked == "auto":
        # Without these instructions bfloat16 is emulated and slower than float32. The names are torch internals:
        # a torch that lacks them costs speed, not correctness.
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return torch.bfloat16 if any(getattr(torch.cpu, name, bool)() for name in names) else torch.float32
    if asked == "float16" and device.type == "cpu":  # it would be slower, and needs loss scaling
        raise UsageError("--precision float16 is for CUDA only", "use --precision bfloat16 or float32 on a CPU")
    return getattr(torch, asked)


def keep_freed_memory() -> None:
    """Tell glibc not to map and unmap large tensors anew in each step, which takes up to half of a CPU step's time.

    https://man7.org/linux/man-pages/man3/mallopt.3.html; another C library has neither the call nor the habit.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


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


def describe(device: torch.device) -> dict[str, Any]:
    """The device's type, the model of the GPU or CPU, and the threads on the CPU."""
    found = re.search(r"model name\s*: (.*)", read_text(Path("/"), "/proc/cpuinfo") or "")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else found[1] if found else "CPU"
    return {"type": device.type, "name": name, "threads": torch.get_num_threads()}
