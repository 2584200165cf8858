"""The links of a card: PCI Express to the machine, NVLink to the other cards."""

from __future__ import annotations

from envcheck.checks.answer import ok, skip, warn
from envcheck.checks.readings import NO_DEVICES, named, slot, why_unread
from envcheck.facts import Facts, NvmlDevice
from envcheck.finding import Finding

FABRIC_COMPLETED = 3  # nvmlGpuFabricState_t


def pcie(facts: Facts) -> Finding:
    """What it checks: that every card uses all PCIe lanes that card and slot have together.
    Why it matters: a badly seated card or riser works, with a half or a quarter of the copy speed.
    How to fix: power off, reseat the card or its riser, and look for settings of that slot in the firmware.
    Reference: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
    """
    check, devices = "gpu-pcie", facts.nvml.devices
    if facts.driver.wsl:
        return skip(check, "under WSL the PCIe link is not visible")
    if not devices:
        return skip(check, NO_DEVICES)
    told = [device for device in devices if device.health.pcie_width and device.health.pcie_width_max]
    if not told:
        return skip(check, why_unread(devices, "pcie_width", "pcie_width_max"))
    lines = [_link(device, facts) for device in told]
    narrow = next((device for device in told if (device.health.pcie_width or 0) < _possible(device, facts)), None)
    if narrow is None:
        return ok(check, "every card uses all the PCIe lanes of its slot", lines)
    fix = ("power off, reseat the card or its riser cable; check the slot's settings in the firmware",)
    summary = f"{named(narrow)} uses fewer PCIe lanes than card and slot have"
    return warn(
        check, None, summary, lines, fix, "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html"
    )


def _possible(device: NvmlDevice, facts: Facts) -> int:
    """NVML's maximum is the card's: a slot with fewer lanes, as of two cards that share sixteen, is no fault."""
    most, pci = device.health.pcie_width_max or 0, slot(device.health.pci or "")
    widths = (card.slot_width for card in facts.hardware.cards if pci and slot(card.address) == pci)
    return min(most, next(widths, None) or most)


def _link(device: NvmlDevice, facts: Facts) -> str:
    health, possible = device.health, _possible(device, facts)
    # An idle card lowers its generation to save power: only `envcheck gpu`, under load, can judge it.
    generation = f"generation {health.pcie_generation} of {health.pcie_generation_max} (lowered while idle)"
    limit = f" (its slot has {possible})" if possible < (health.pcie_width_max or 0) else ""
    return f"{named(device)}: {health.pcie_width} of {health.pcie_width_max} lanes{limit}, {generation}"


def nvlink(facts: Facts) -> Finding:
    """What it checks: that no NVLink is down on a card whose twins have it up, or on an NVSwitch machine.
    Why it matters: NCCL falls back to a slower way, or stops with "P2P is disabled between NVLINK connected GPUs".
    How to fix: reset the cards; reseat the bridge or have the machine serviced when the link stays down.
    Reference: https://docs.nvidia.com/deploy/nvml-api/group__NvLink.html
    """
    check, devices = "gpu-nvlink", facts.nvml.devices
    if not devices:
        return skip(check, NO_DEVICES)
    linked = [device for device in devices if device.health.nvlinks_active is not None and not device.mig]
    if not any(device.health.nvlinks_active or device.health.nvlinks_inactive for device in linked):
        return skip(check, f"no NVLink on these cards ({why_unread(devices, 'nvlinks_active')})")
    lines = [_links(device) for device in linked]
    down = next((device for device in linked if _is_down(device, linked)), None)
    if down is not None:
        fix = (
            "sudo nvidia-smi nvlink --status",
            "sudo nvidia-smi --gpu-reset   # after stopping all jobs; or: sudo reboot",
        )
        return warn(check, "nccl-peer-to-peer", f"{named(down)} has NVLinks that are down", lines, fix)
    if not any(device.health.nvlinks_active for device in linked):
        return ok(check, "NVLink: not connected (no bridge)", lines)
    return ok(check, "NVLink: all links that are connected are up", lines)


def _is_down(device: NvmlDevice, linked: list[NvmlDevice]) -> bool:
    """Unused links are no fault by themselves: a card without a bridge has them all down, one bridge uses a few."""
    health = device.health
    if not health.nvlinks_inactive:
        return False
    # A virtual machine that was given one card of such a machine has no partner for its links. Where some are up, the
    # twins tell: there are models whose maker has turned a part of the links off.
    if health.fabric_state == FABRIC_COMPLETED and len(linked) > 1 and not health.nvlinks_active:
        return True
    twins = [len(item.health.nvlinks_active or ()) for item in linked if item.name == device.name]
    return 0 < len(health.nvlinks_active or ()) < max(twins)


def _links(device: NvmlDevice) -> str:
    up, down = device.health.nvlinks_active or (), device.health.nvlinks_inactive or ()
    which = f", down: {' '.join(map(str, down))}" if down and up else ""
    return f"{named(device)}: {len(up)} of {len(up) + len(down)} NVLinks up{which}"
