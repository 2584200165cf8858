"""Modes an administrator sets: compute mode, MIG, persistence."""

from __future__ import annotations

from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.checks.readings import NO_DEVICES, cuda_works, named, why_unread
from envcheck.facts import Facts, NvmlDevice
from envcheck.finding import Finding

COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}  # nvmlComputeMode_t
PROHIBITED = 2
MASK = "CUDA_VISIBLE_DEVICES"


def compute_mode(facts: Facts) -> Finding:
    """What it checks: that no card is in the compute mode "prohibited".
    Why it matters: such a card refuses every CUDA program with error 46; an exclusive one takes only one at a time.
    How to fix: sudo nvidia-smi -c 0
    Reference: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html
    """
    check, devices = "gpu-compute-mode", facts.nvml.devices
    if not devices:
        return skip(check, NO_DEVICES)
    modes = [f"{named(device)}: {_mode(device)}" for device in devices if device.compute_mode is not None]
    if not modes:
        return skip(check, why_unread(devices, "compute_mode"))
    refusing = [device for device in devices if device.compute_mode == PROHIBITED]
    if refusing:
        # A card that only draws the screen may be set so on purpose.
        judge = fail if len(refusing) == len(devices) else warn
        fix = (f"sudo nvidia-smi -i {refusing[0].index} -c 0   # back to the default compute mode",)
        return judge(check, "cuda-device-busy", f"{named(refusing[0])} is set to refuse all compute work", modes, fix)
    return ok(check, "the compute mode of every card allows work", modes)


def _mode(device: NvmlDevice) -> str:
    mode = COMPUTE_MODES.get(device.compute_mode or 0, f"mode {device.compute_mode}")
    return f"{mode}: a second program gets error 46" if mode.startswith("exclusive") else mode


def mig(facts: Facts) -> Finding:
    """What it checks: that a card in MIG mode has an instance, and that CUDA_VISIBLE_DEVICES names one that exists.
    Why it matters: CUDA then sees instances, not cards: without one, or with a wrong name, it sees nothing (error 100).
    How to fix: create an instance (sudo nvidia-smi mig -cgi 0 -C), name it by its UUID from nvidia-smi -L.
    Reference: https://docs.nvidia.com/datacenter/tesla/mig-user-guide/
    """
    check = "gpu-mig"
    divided = [device for device in facts.nvml.devices if device.mig]
    if not facts.nvml.devices:
        return skip(check, NO_DEVICES)
    if not divided:
        return skip(check, "no card is in MIG mode")
    evidence = [f"{named(device)}: {len(device.mig_uuids)} MIG instances" for device in divided]
    judge = warn if cuda_works(facts) else fail
    empty = [device for device in divided if not device.mig_uuids]
    # CUDA has found an instance where it works on nothing but divided cards, whatever NVML may list.
    if empty and not (cuda_works(facts) and len(empty) == len(facts.nvml.devices)):
        summary = f"{named(empty[0])} is in MIG mode, but has no instance"
        return judge(check, "cuda-devices-masked", summary, evidence, _create(empty[0]))
    wrong = _wrong_name(facts, divided)
    if wrong is not None:
        return judge(check, "cuda-devices-masked", wrong, [*evidence, f"{MASK}={facts.environment[MASK]}"])
    return ok(check, "MIG: every divided card has instances", evidence)


def _create(device: NvmlDevice) -> tuple[str, ...]:
    return (
        f"sudo nvidia-smi mig -i {device.index} -cgi 0 -C   # the profiles: nvidia-smi mig -i {device.index} -lgip",
        f"or leave MIG mode: sudo nvidia-smi -i {device.index} -mig 0",
    )


def _wrong_name(facts: Facts, divided: list[NvmlDevice]) -> str | None:
    names = [name.strip() for name in facts.environment.get(MASK, "").split(",") if name.strip()]
    known = [uuid for device in divided for uuid in device.mig_uuids]
    for name in names:
        if name.startswith("MIG-GPU-"):
            continue  # the name older drivers gave; only CUDA itself knows whether it still fits
        if name.startswith("MIG-"):
            if not any(uuid.startswith(name) for uuid in known):
                return f"{MASK} names a MIG instance that does not exist"
        elif not cuda_works(facts) and all(device.mig for device in facts.nvml.devices):
            return f"every card is in MIG mode, so {MASK} must name an instance (MIG-...)"
    return None


def persistence(facts: Facts) -> Finding:
    """What it checks: whether the driver stays loaded while no program uses a card. Information only.
    Why it matters: without it the first CUDA call of every program takes seconds longer and settings are lost.
    How to fix: sudo systemctl enable --now nvidia-persistenced, if the start of programs is too slow.
    Reference: https://docs.nvidia.com/deploy/driver-persistence/
    """
    check, devices = "gpu-persistence", facts.nvml.devices
    if facts.driver.wsl:
        return skip(check, "under WSL the driver is the one of Windows")
    if not devices:
        return skip(check, NO_DEVICES)
    told = {device.health.persistence for device in devices} - {None}
    if not told:
        return skip(check, why_unread(devices, "persistence"))
    if told == {True}:
        return ok(check, "persistence mode is on")
    return ok(check, "persistence mode is off: the first CUDA call of a program may take seconds")
