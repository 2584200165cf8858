"""Fabric Manager, where there is an NVSwitch to be managed."""

from __future__ import annotations

import re
from pathlib import Path

from envcheck.facts_health import FabricManager
from envcheck.probes.paths import entries, exists, read_text
from envcheck.probes.programs import Runner

PCI_DEVICES = "/sys/bus/pci/devices"
NVIDIA = "0x10de"
# NVSwitch is a bridge of the class "other": https://pci-ids.ucw.cz/read/PC/10de
BRIDGE_CLASS = "0x0680"
SERVICE = "nvidia-fabricmanager"
# What `systemctl is-active` prints; anything else is a message of its own.
STATES = ("active", "activating", "reloading", "deactivating", "inactive", "failed", "unknown")
VERSION = re.compile(r"\d+(?:\.\d+)+")


def probe_fabric(root: Path, runner: Runner) -> FabricManager:
    """No program is run on a machine without a switch, nor where systemd does not run the services."""
    switches = sum(_is_switch(root, address) for address in entries(root, PCI_DEVICES))
    if not switches:
        return FabricManager()
    if not exists(root, "/run/systemd/system"):
        return FabricManager(switches, error="no systemd here to ask for the service")
    asked = runner(("systemctl", "is-active", SERVICE))
    state = asked.stdout.strip()
    if state not in STATES:
        return FabricManager(switches, error=asked.error or f"systemctl says {state!r}")
    version = VERSION.search(runner(("nv-fabricmanager", "--version")).stdout)
    return FabricManager(switches, state, version.group(0) if version else None)


def _is_switch(root: Path, address: str) -> bool:
    device = f"{PCI_DEVICES}/{address}"
    is_bridge = (read_text(root, f"{device}/class") or "").startswith(BRIDGE_CLASS)
    return is_bridge and read_text(root, f"{device}/vendor") == NVIDIA
