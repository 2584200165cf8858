"""NVSwitch machines: Fabric Manager, and the state each card reports."""

from __future__ import annotations

from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.checks.readings import cuda_works, named
from envcheck.facts import Facts
from envcheck.finding import Finding
from envcheck.presence import driver_version, presence

CHECK = "gpu-fabric"
CAUSE = "cuda-fabric-manager"
STATES = {0: "not supported", 1: "not started", 2: "in progress", 3: "completed"}  # nvmlGpuFabricState_t
COMPLETED = 3
DOWN = ("inactive", "failed", "unknown", "deactivating")


def gpu_fabric(facts: Facts) -> Finding:
    """What it checks: that every card has joined the NVSwitch fabric, and Fabric Manager runs in the driver's version.
    Why it matters: until then CUDA refuses to initialise with error 802, "system not yet initialized".
    How to fix: install the Fabric Manager of the driver's version, and start its service.
    Reference: https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/
    """
    if not presence(facts).expected:
        return skip(CHECK, "no GPU is expected here")
    # Instances of a divided card use no NVLink: https://docs.nvidia.com/datacenter/tesla/mig-user-guide/
    joining = [device for device in facts.nvml.devices if device.health.fabric_state and not device.mig]
    if not joining and not facts.fabric.switches:
        return skip(CHECK, "no NVSwitch and no card that joins a fabric")
    evidence = [f"{named(device)}: fabric {STATES.get(device.health.fabric_state or 0, '?')}" for device in joining]
    evidence += _service(facts)
    wrong = _wrong(facts, [device.health.fabric_state or 0 for device in joining])
    if wrong is None:
        return ok(CHECK, "the NVSwitch fabric is ready", evidence)
    if cuda_works(facts) and len(facts.nvml.devices) == 1:
        return ok(CHECK, "one card alone needs no NVSwitch fabric", evidence)
    return (warn if cuda_works(facts) else fail)(CHECK, CAUSE, wrong, evidence, _fix(facts))


def _wrong(facts: Facts, states: list[int]) -> str | None:
    """The service counts only where no card tells: a joined fabric is what programs need."""
    version, driver = facts.fabric.version, driver_version(facts)
    if version is not None and driver is not None and version != driver:
        return f"Fabric Manager is version {version}, the driver {driver}: they must be equal"
    if any(state != COMPLETED for state in states):
        return "a card has not joined the NVSwitch fabric"
    if not states and facts.fabric.service in DOWN:
        return "Fabric Manager does not run on this NVSwitch machine"
    return None


def _service(facts: Facts) -> list[str]:
    fabric = facts.fabric
    if not fabric.switches:
        return []
    told = fabric.service if fabric.service is not None else fabric.error or "not asked"
    return [f"{fabric.switches} NVSwitch functions, nvidia-fabricmanager: {told} {fabric.version or ''}".rstrip()]


def _fix(facts: Facts) -> tuple[str, ...]:
    branch = (driver_version(facts) or "<branch>").split(".")[0]
    return (
        f"sudo apt install nvidia-fabricmanager-{branch}   # the version must equal the driver's",
        "sudo systemctl enable --now nvidia-fabricmanager, then: systemctl status nvidia-fabricmanager",
        "in a container or virtual machine: on the host",
    )
