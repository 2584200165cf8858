"""Errors of the cards' own memory, and how far they were repaired."""

from __future__ import annotations

from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.checks.readings import NO_DEVICES, named, why_unread
from envcheck.facts import Facts, NvmlDevice
from envcheck.finding import Finding

CHECK = "gpu-memory"
CAUSE = "gpu-memory-ecc"


def gpu_memory(facts: Facts) -> Finding:
    """What it checks: uncorrected memory errors since the driver was loaded, and rows that wait to be replaced.
    Why it matters: a card with faulty memory still answers, and ends programs or computes wrong numbers.
    How to fix: reset the card, which replaces the rows; where replacing failed, return the card.
    Reference: https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/
    """
    devices = facts.nvml.devices
    if not devices:
        return skip(CHECK, NO_DEVICES)
    for judge in (_beyond_repair, _reset_needed, _errors):
        found = next(filter(None, map(judge, devices)), None)
        if found is not None:
            return found
    told = [device for device in devices if device.ecc_uncorrected is not None or device.remap_pending is not None]
    if not told:
        return skip(CHECK, why_unread(devices, "ecc_uncorrected", "remap_pending"))
    return ok(CHECK, "no uncorrected memory error, no row waits to be replaced", [_history(device) for device in told])


def _beyond_repair(device: NvmlDevice) -> Finding | None:
    if not device.remap_failure:
        return None
    return fail(CHECK, CAUSE, f"{named(device)} could not replace faulty memory rows", ["row remapping failed"])


def _reset_needed(device: NvmlDevice) -> Finding | None:
    if device.remap_pending:
        return warn(CHECK, CAUSE, f"{named(device)} needs a reset to replace faulty memory rows", ["remapping pending"])
    if device.health.retired_pages_pending:
        return warn(CHECK, CAUSE, f"{named(device)} needs a reset to retire faulty pages", ["page retirement pending"])
    return None


def _errors(device: NvmlDevice) -> Finding | None:
    if not device.ecc_uncorrected:
        return None
    evidence = [f"{device.ecc_uncorrected} uncorrected since the driver was loaded", _history(device)]
    return warn(CHECK, CAUSE, f"{named(device)} reported uncorrected memory errors", evidence)


def _history(device: NvmlDevice) -> str:
    health = device.health
    counts = {
        "ECC": {True: "on", False: "off", None: None}[health.ecc_enabled],
        "corrected": health.ecc_corrected,
        "uncorrected in its lifetime": health.ecc_uncorrected_lifetime,
        "rows replaced after corrected errors": health.remapped_corrected,
        "after uncorrected ones": health.remapped_uncorrected,
    }
    return f"{named(device)}: " + (", ".join(f"{k} {v}" for k, v in counts.items() if v is not None) or "no counters")
