"""Why a card runs slower than it could."""

from __future__ import annotations

from envcheck.checks.answer import ok, skip, warn
from envcheck.checks.readings import NO_DEVICES, named, why_unread
from envcheck.facts import Facts, NvmlDevice
from envcheck.finding import Finding

CHECK = "gpu-clocks"
REFERENCE = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html"
REASONS = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "power limit (normal under load)",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clocks",
}
# The hardware protecting the card is a fault also while it idles; `envcheck gpu` judges the softer ones under load.
HARMFUL = 0x40 | 0x80


def gpu_clocks(facts: Facts) -> Finding:
    """What it checks: that the hardware of no card slows it down for heat or for want of power.
    Why it matters: the card works at a fraction of its speed, without an error.
    How to fix: clear air paths and fans, check power cables and supply: nvidia-smi -q -d PERFORMANCE,TEMPERATURE
    Reference: https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
    """
    devices = facts.nvml.devices
    if not devices:
        return skip(CHECK, NO_DEVICES)
    told = [device for device in devices if device.health.clocks_event_reasons is not None]
    if not told:
        return skip(CHECK, why_unread(devices, "clocks_event_reasons"))
    lines = [f"{named(device)}: {_reasons(device)}" for device in told]
    slowed = next((device for device in told if (device.health.clocks_event_reasons or 0) & HARMFUL), None)
    if slowed is None:
        return ok(CHECK, "no card is slowed down by heat or power supply", lines)
    fix = ("nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER", "clear air paths and fans; check power cables and supply")
    return warn(CHECK, None, f"{named(slowed)} is slowed down by heat or power supply", lines, fix, REFERENCE)


def _reasons(device: NvmlDevice) -> str:
    mask = device.health.clocks_event_reasons or 0
    return ", ".join(name for bit, name in REASONS.items() if mask & bit) or "no slowdown"
