"""Words that the health checks share: which card, and why a reading is missing."""

from __future__ import annotations

from collections.abc import Iterable

from envcheck.facts import Facts, NvmlDevice
from envcheck.presence import driver_version

DOCKER = "docker run --gpus all ..."
# By the file that tells which kind of container it is.
START = {
    "/.singularity.d": "apptainer exec --nv ...",
    "kubernetes.io": "kubectl edit pod ...   # resources: limits: nvidia.com/gpu: 1",
    "/run/.containerenv": "podman run --device nvidia.com/gpu=all ...",
}
NO_DEVICES = "NVML lists no GPU whose condition could be read"


def named(device: NvmlDevice) -> str:
    """As nvidia-smi counts and names it."""
    return f"GPU {device.index} ({device.name})"


def slot(pci: str) -> tuple[int, ...]:
    """Domain, bus and device of "0000:65:00", "00000000:65:00.0" and the like."""
    try:
        return tuple(int(part.split(".")[0], 16) for part in pci.split(":"))
    except ValueError:
        return ()


def why_unread(devices: Iterable[NvmlDevice], *fields: str) -> str:
    """The first reason NVML gave for one of these fields, for a skip."""
    reasons = (device.health.unread.get(field) for device in devices for field in fields)
    return next((f"not told by NVML: {reason}" for reason in reasons if reason), "not recorded")


def library_package(facts: Facts, debian: str) -> tuple[str, ...]:
    """The command that installs a library of the driver, by the distribution; Ubuntu has one package a branch."""
    branch = (driver_version(facts) or "<branch>").split(".")[0]
    return (f"Debian: sudo apt install {debian}", f"Ubuntu: sudo apt install libnvidia-compute-{branch}")


def start_with_gpu(facts: Facts) -> tuple[str, ...]:
    """How a container of this kind is started with a GPU."""
    signs = " ".join(facts.container.evidence)
    command = next((command for sign, command in START.items() if sign in signs), DOCKER)
    return (command if "   # " in command else f"{command}   # start the container again with its GPU",)


def cuda_works(facts: Facts) -> bool:
    """Whether CUDA initialised and sees a card: what is wrong besides that is a limit, not a failure."""
    return facts.cuda.init_code == 0 and bool(facts.cuda.device_count)
