"""Is a GPU meant to work here? Pure: the answer every GPU check starts from."""

from __future__ import annotations

from dataclasses import dataclass

from envcheck.facts import Facts


@dataclass(frozen=True, slots=True)
class Presence:
    """`expected`: a GPU that does not work is a failure. `reason` says why, or why not."""

    expected: bool
    reason: str


def presence(facts: Facts) -> Presence:
    """A launcher's request decides inside its container, otherwise what was seen does."""
    request = facts.container.request
    if request is not None and request.device == "gpu":
        return Presence(True, f"this container was started for GPUs: {request.reason or ', '.join(request.gpus)}")
    if facts.hardware.present:
        return Presence(True, "; ".join(facts.hardware.evidence))
    if request is not None:
        return Presence(False, f"this container was started for the CPU: {request.reason or 'no reason recorded'}")
    if facts.hardware.cards:
        return Presence(False, "the NVIDIA card is given to a virtual machine (vfio-pci)")
    return Presence(False, "no NVIDIA card was found")


def reached_container(facts: Facts) -> bool:
    """Whether anything of a GPU was passed into this container: device nodes or driver libraries."""
    return bool(facts.driver.device_nodes) or facts.driver.wsl or facts.cuda.loaded or facts.nvml.loaded


def driver_version(facts: Facts) -> str | None:
    """The loaded driver's version: of the kernel module, else as NVML says."""
    return facts.driver.module_version or facts.nvml.driver_version


def capabilities(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Name and compute capability ("8.9") of every GPU whose capability is known."""
    devices = [(device.name, device.capability) for device in facts.cuda.devices]
    if not devices:
        devices = [(device.name, device.compute_capability) for device in facts.nvml.devices]
    return tuple((name, capability) for name, capability in devices if capability is not None)
