"""Invented machines with a fault above the driver: the wheel, the container; and with two faults at once."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import Card, Container, Crash, Cuda, Hardware, Memory, Nvml
from tests.unit.envcheck.faults import BAKED, BUSY, COMPAT, NO_GPU_WARNING, Fault, numbered, nvml, variables
from tests.unit.envcheck.healthy import ADA, card, several
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside, torch
from tests.unit.envcheck.rules.cases import LOST, NO_NVML, bare_container, logged, xid

WHEEL: dict[str, Fault] = {
    "CPU build": (
        replace(ADA, torch=torch(version="2.8.0+cpu", cuda=None, cudnn=None, nccl=None, torchvision=None)),
        "torch-cpu-only",
        "pip uninstall -y torch torchvision && pip install",
    ),
    "PyTorch loads a libcuda of the working directory": (
        replace(ADA, torch=torch(libcuda="/home/redacted-0/libcuda.so.1", **NO_GPU_WARNING)),
        "library-shadowed",
        "unset LD_LIBRARY_PATH",
    ),
    "import fails, nothing is set": (
        replace(
            ADA, torch=torch(version=None, error="ImportError: libcusparse.so.12: undefined symbol: __nvJitLinkAdd")
        ),
        None,
        "/usr/bin/python3 -c 'import torch'",
    ),
}
CONTAINER: dict[str, Fault] = {
    "started without a GPU": (bare_container(None), "container-no-gpu-runtime", "docker run --gpus all"),
    "a pod without a GPU": (
        replace(bare_container(None), container=Container(True, ("/run/secrets/kubernetes.io exists",))),
        "container-no-gpu-runtime",
        "kubectl edit pod ...   # resources",
    ),
    "Podman without a GPU": (
        replace(bare_container(None), container=Container(True, ("/run/.containerenv exists",))),
        "container-no-gpu-runtime",
        "podman run --device nvidia.com/gpu=all ...   # start",
    ),
    "Apptainer without --nv": (
        replace(ADA, cuda=LOST, nvml=NO_NVML, container=Container(True, ("/.singularity.d exists",))),
        "container-driver-libs-missing",
        "apptainer exec --nv",
    ),
    "Docker with nodes alone": (
        replace(ADA, cuda=LOST, nvml=NO_NVML, container=Container(True, ("/.dockerenv exists",))),
        "container-driver-libs-missing",
        "on the engine's host",
    ),
    "void": (bare_container(None, NVIDIA_VISIBLE_DEVICES="void"), "cuda-devices-masked", "docker run --gpus all"),
    "the launcher asked, the engine gave none": (bare_container(), "container-no-gpu-runtime", "bin/launcher setup"),
    "lost after a reload": (inside(nvml(999, numbered(999)), "gpu"), "container-lost-gpu", "bin/launcher heal"),
    "refused by SELinux": (
        inside(nvml(4, numbered(304)), "gpu"),
        "cuda-unknown-init",
        "docker run --security-opt=label=disable",
    ),
    "this user may not": (nvml(4, numbered(100)), "cuda-unknown-init", "ls -l /dev/nvidia*"),
    "utility alone": (
        inside(replace(ADA, cuda=LOST), "gpu", NVIDIA_DRIVER_CAPABILITIES="utility"),
        "container-capabilities-missing",
        "docker run -e NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    ),
    "WSL blocks": (
        change(nvml(17, numbered(100)), "driver", wsl=True, module_version=None),
        "wsl-driver-libs-missing",
        "sudo apt purge",
    ),
    "a Linux driver inside WSL": (
        change(numbered(100, path=BAKED), "driver", wsl=True, module_version=None),
        "wsl-driver-libs-missing",
        "sudo apt purge 'nvidia-driver*'",
    ),
    "NVML alone is missing": (replace(ADA, nvml=NO_NVML), "driver-missing", "Debian: sudo apt install libnvidia-ml1"),
    "libcuda alone is missing": (
        replace(ADA, cuda=Cuda(error="not found"), nvml=Nvml()),
        "driver-missing",
        "Debian: sudo apt install libcuda1",
    ),
    "a small /dev/shm on a host": (
        replace(ADA, memory=Memory(1 << 26, 1 << 26)),
        "shm-too-small",
        "sudo mount -o remount",
    ),
    "a small /dev/shm in a container": (
        inside(replace(ADA, memory=Memory(1 << 26, 1 << 26)), "gpu"),
        "shm-too-small",
        "docker run --shm-size=8g",
    ),
}
TWO: dict[str, Fault] = {
    "old driver and a card that the wheel has no code for": (
        gpu_host(driver="470.256.02", capability="6.0"),
        "driver-too-old",
        "Debian: sudo apt install",
    ),
    "803 and a small /dev/shm": (
        replace(numbered(803, path=COMPAT), memory=Memory(1 << 26, 1 << 26)),
        "cuda-compat-mismatch",
        "grep -r",
    ),
    "masked, and the CPU build": (
        replace(variables(numbered(100), CUDA_VISIBLE_DEVICES=""), torch=torch(cuda=None, version="2.8.0+cpu")),
        "cuda-devices-masked",
        "unset CUDA_VISIBLE_DEVICES",
    ),
    "a wrong torchvision and a shadowed cuDNN": (
        replace(
            ADA,
            torch=torch(cudnn=None, crashes=(Crash("torchvision", "SIGSEGV"), Crash("cudnn", "SIGABRT"))),
        ),
        "torchvision-mismatch",
        "pip install --force-reinstall",
    ),
    "an old card beside, and another program's memory": (
        replace(several(ADA, card("NVIDIA GeForce GTX 1080")), torch=torch(all_reduces=(BUSY,))),
        "arch-unsupported",
        "export CUDA_VISIBLE_DEVICES=0 ",
    ),
    "busy, and nothing else": (replace(ADA, torch=torch(all_reduces=(BUSY,))), "gpu-out-of-memory", "nvidia-smi"),
    "libraries without a card": (
        nvml(9, numbered(100, cpu_host(hardware=Hardware(True), cuda=Cuda(True), nvml=Nvml(True)))),
        "driver-not-loaded",
        "lspci -d 10de:",
    ),
    "one card lost, others work": (
        replace(
            logged(xid(79, pci="0000:65:00"), facts=ADA),
            hardware=Hardware(True, (*ADA.hardware.cards, Card("0000:65:00.0", "0x2684", "0x030000", "nvidia"))),
        ),
        "gpu-fallen-off-bus",
        "sudo dmesg",
    ),
}
FAULTS_ABOVE = {**WHEEL, **CONTAINER, **TWO}
