"""Xid errors: what the driver wrote about the cards since boot."""

from __future__ import annotations

from envcheck.checks.answer import ok, problem, skip
from envcheck.checks.readings import slot
from envcheck.facts import Facts, NvmlDevice, Xid
from envcheck.finding import Finding, Status
from envcheck.presence import presence
from envcheck.xid import xid_catalogue, xid_meaning

CHECK = "kernel-log"
ALLOW = ("sudo envcheck --only health", "or for good: sudo usermod -aG adm $USER   # group adm or systemd-journal")
RESET = ("sudo nvidia-smi --gpu-reset   # after stopping the programs that use the card; or: sudo reboot",)
# What follows from a number by its kind, where the card works again; see _serious for where it does not.
CAUSES = {"memory": "gpu-memory-ecc", "bus": "gpu-fallen-off-bus", "nvlink": "nccl-peer-to-peer"}
HARMLESS = ("application", "information")
REPLACED = 63  # a row was replaced: the card healed itself, unless NVML says that a reset is pending
UNCORRECTED = (48, 64, 95, 140)
SEVERITY = (Status.FAIL, Status.WARN, Status.OK)
LOST = (15, 16)  # NVML_ERROR_GPU_IS_LOST, NVML_ERROR_RESET_REQUIRED


def kernel_log(facts: Facts) -> Finding:
    """What it checks: the Xid numbers that the NVIDIA driver wrote into the kernel's log since boot.
    Why it matters: the number tells a faulty card (79, 48, 95 ...) from a faulty program (13, 31, 43, 45).
    How to fix: as the number's meaning says; reset the card, and return it when the error comes back.
    Reference: https://docs.nvidia.com/deploy/xid-errors/
    """
    log = facts.kernel_log
    if not presence(facts).expected:
        return skip(CHECK, "no GPU is expected here")
    if log.source is None:
        return _not_read(facts)
    if not log.xids:
        return ok(CHECK, f"no Xid error since boot ({log.source})")
    judged = [(_status(xid, facts), xid) for xid in log.xids]
    judged.sort(key=lambda pair: SEVERITY.index(pair[0]))
    lines = [_line(xid) for _, xid in judged]
    worst, first = judged[0]
    if worst is Status.OK:
        return ok(CHECK, "no Xid error that points at a card since boot", lines)
    return _told(worst, first, lines)


def _not_read(facts: Facts) -> Finding:
    if facts.container.inside:
        fix = ("run envcheck on the host as well",)
        return skip(CHECK, "Xid errors: the kernel's log is not shown inside a container", fix)
    if facts.driver.wsl:
        return skip(CHECK, "under WSL the driver writes into the log of Windows")
    return skip(CHECK, f"Xid errors: the kernel's log may not be read ({facts.kernel_log.error or 'no reason'})", ALLOW)


def _status(xid: Xid, facts: Facts) -> Status:
    kind = xid_meaning(xid.number).kind
    device = _device(xid, facts)
    if kind in HARMLESS:
        return Status.OK
    if kind == "action":
        # The newest action counts: a reset since then would have changed it back.
        return Status.WARN if "(None)" not in xid.text.rpartition(" to ")[2] and xid.text else Status.OK
    if xid.number == REPLACED and device is not None and device.remap_pending is False and not device.remap_failure:
        return Status.OK
    return Status.FAIL if _serious(xid, kind, device, facts) else Status.WARN


def _serious(xid: Xid, kind: str, device: NvmlDevice | None, facts: Facts) -> bool:
    """Whether the card is still as the message says; after a reset it answers again and counts from zero."""
    # A lost card is on NVML's list no more. A container need not have been given the card that the log speaks of.
    gone = device is None and not facts.container.inside
    if kind == "bus":
        return gone or any(code in LOST for code in facts.nvml.device_codes)
    if xid.number not in UNCORRECTED:
        return False
    faulty = device is not None and (device.ecc_uncorrected or device.remap_pending or device.remap_failure)
    return gone or bool(faulty)


def _device(xid: Xid, facts: Facts) -> NvmlDevice | None:
    at_slot = (item for item in facts.nvml.devices if item.health.pci and slot(item.health.pci) == slot(xid.pci))
    return next(at_slot, None)


def _line(xid: Xid) -> str:
    times = f", {xid.count} times" if xid.count > 1 else ""
    when = f", {xid.seconds:.0f} s after boot" if xid.seconds is not None else ""
    text = f": {xid.text}" if xid.text else ""
    return f"Xid {xid.number} on PCI {xid.pci}{times}{when} ({xid_meaning(xid.number).what}){text}"


def _told(status: Status, xid: Xid, lines: list[str]) -> Finding:
    meaning = xid_meaning(xid.number)
    if meaning.kind in CAUSES:
        summary = f"the driver logged Xid {xid.number} on the card at PCI {xid.pci}: {meaning.what}"
        return problem(CHECK, status, CAUSES[meaning.kind], summary, lines)
    if meaning.kind in ("reset", "action"):
        told = xid.text or meaning.what
        summary = f"the driver logged Xid {xid.number} on the card at PCI {xid.pci}: {told}"
        return problem(CHECK, status, None, summary, lines, RESET, xid_catalogue())
    summary = f"the driver logged Xid {xid.number}, which NVIDIA's catalogue explains"
    fix = (f"look up {xid.number} in the catalogue; if it comes back, ask the maker of the machine",)
    return problem(CHECK, status, None, summary, lines, fix, xid_catalogue())
