"""Invented machines with a real fault, each with what such a machine shows besides: the first cause, the first fix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envcheck.facts import AllReduce, Cuda, Facts, Nvml
from tests.unit.envcheck.healthy import ADA, card
from tests.unit.envcheck.machines import change, gpu_host, inside, torch
from tests.unit.envcheck.rules.cases import nouveau, told, unloaded

# What broke: the machine, the first cause, how the first fix begins.
Fault = tuple[Facts, str | None, str]
NO_GPU_WARNING = {"cuda_available": False, "cuda_device_count": 0}
COMPAT = "/usr/local/cuda-12.8/compat/libcuda.so.570.26"
OPEN = "NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:2b85) requires use of the NVIDIA open kernel modules."
RM_INIT = "NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)"
BUSY = AllReduce("nccl", 1, error="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 MiB")


def numbered(code: int, facts: Facts = ADA, warning: str | None = None, **changes: Any) -> Facts:
    """cuInit returns `code`, and PyTorch sees nothing, saying `warning`."""
    broken = change(facts, "cuda", init_code=code, count_code=None, device_count=None, devices=(), **changes)
    if broken.torch is None:
        return broken
    gloo = broken.torch.all_reduces[:1]
    blind = replace(broken.torch, cuda_warning=warning, all_reduces=gloo, **NO_GPU_WARNING)  # type: ignore[arg-type]
    return replace(broken, torch=blind)


def nvml(code: int, facts: Facts) -> Facts:
    """nvmlInit returns `code`, and nvidia-smi fails with it."""
    return change(facts, "nvml", init_code=code, driver_version=None, cuda_version=None, devices=())


def variables(facts: Facts, **environment: str) -> Facts:
    return replace(facts, environment=environment)


def blackwell(**changes: Any) -> Facts:
    """An RTX 5090 that the driver does not start."""
    facts = numbered(100, nvml(0, card("NVIDIA GeForce RTX 5090")))
    return change(facts, "driver", **changes)


INSTALLED = {"cuda": Cuda(True, path="/usr/lib/x86_64-linux-gnu/libcuda.so.570.124.06"), "nvml": Nvml(True)}
UNLOADED = nvml(9, numbered(100, replace(unloaded(module_installed=True), **INSTALLED)))
BAKED = "/usr/lib/x86_64-linux-gnu/libcuda.so.535.104.05"
STUBS = "/usr/local/cuda/lib64/stubs"
KERNEL: dict[str, Fault] = {
    "no driver": (unloaded(), "driver-missing", "Debian: sudo apt install nvidia-driver"),
    "a new kernel without the module": (
        change(UNLOADED, "driver", module_installed=False),
        "driver-not-loaded",
        "sudo dkms autoinstall",
    ),
    "a module that is not loaded": (UNLOADED, "driver-not-loaded", "sudo modprobe nvidia"),
    "nouveau, libraries installed": (
        replace(nvml(9, numbered(100, replace(nouveau(), **INSTALLED))), torch=torch(cuda=None, version="2.8.0+cpu")),
        "driver-nouveau",
        "printf 'blacklist nouveau",
    ),
    "Secure Boot": (
        told(UNLOADED, "Loading of module with unavailable key is rejected"),
        "driver-secure-boot",
        "sudo mokutil --import",
    ),
    "kernel lockdown": (
        told(UNLOADED, "Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7"),
        "driver-secure-boot",
        "sudo mokutil --import",
    ),
    "closed module on Blackwell": (told(blackwell(), OPEN, RM_INIT), "driver-open-module-required", "sudo apt install"),
    "closed module on Blackwell, log hidden": (
        blackwell(open_module=False),
        "driver-open-module-required",
        "sudo apt install nvidia-open",
    ),
    "half-done upgrade": (
        nvml(18, numbered(803, warning="Error 803: system has unsupported display driver / cuda driver combination")),
        "driver-library-mismatch",
        "sudo reboot",
    ),
    "half-done upgrade of libcuda alone": (
        numbered(803, path="/usr/lib/x86_64-linux-gnu/libcuda.so.575.57.08"),
        "cuda-compat-mismatch",
        "sudo reboot",
    ),
    "the driver's directory on the path is not blamed": (
        replace(variables(numbered(803, path=BAKED), LD_LIBRARY_PATH="/usr/lib/x86_64-linux-gnu"), shadowing=(BAKED,)),
        "cuda-compat-mismatch",
        "sudo reboot",
    ),
    "libcuda baked into an image": (
        inside(numbered(803, path=BAKED), "gpu"),
        "cuda-compat-mismatch",
        "rm /usr/lib/x86_64-linux-gnu/libcuda.so.535",
    ),
    "compat by the loader's list": (numbered(803, path=COMPAT), "cuda-compat-mismatch", "grep -r -e compat"),
    "compat on GeForce, through a link": (
        replace(
            variables(
                numbered(804, card("NVIDIA GeForce RTX 3090", "535.261.03"), path=COMPAT),
                LD_LIBRARY_PATH="/usr/local/cuda/compat:/opt/x",
            ),
            shadowing=("/usr/local/cuda/compat/libcuda.so.1",),
        ),
        "cuda-forward-compat-unsupported",
        "export LD_LIBRARY_PATH=/opt/x",
    ),
    "compat on GeForce by the loader's list": (
        inside(numbered(804, path=COMPAT), "gpu"),
        "cuda-forward-compat-unsupported",
        "grep -r -e compat",
    ),
    "stub library through a link": (
        replace(
            variables(
                numbered(34, path="/usr/local/cuda-12.8/targets/x86_64-linux/lib/stubs/libcuda.so"),
                LD_LIBRARY_PATH=STUBS,
            ),
            shadowing=(f"{STUBS}/libcuda.so", f"{STUBS}/libcuda.so.1"),
        ),
        "cuda-stub-library",
        "unset LD_LIBRARY_PATH",
    ),
    "driver 470": (
        change(
            numbered(
                0, gpu_host(driver="470.256.02"), "The NVIDIA driver on your system is too old (found version 11040)"
            ),
            "cuda",
            device_count=1,
            driver_version=11040,
        ),
        "driver-too-old",
        "Debian: sudo apt install nvidia-driver",
    ),
    "driver 575 under a CUDA 13 wheel, in a container": (
        inside(gpu_host(driver="575.57.08", torch=torch(cuda="13.0")), "gpu"),
        "driver-too-old",
        "on the host: install a newer",
    ),
    "an old driver of Windows": (
        change(change(numbered(0), "driver", wsl=True, module_version=None), "cuda", driver_version=11080),
        "driver-too-old",
        "from Windows: update",
    ),
}
