"""Fabric Manager, as the bus, systemd and its own program tell it. Machines are invented."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from envcheck.facts import FabricManager
from envcheck.probes.fabric import probe_fabric
from envcheck.probes.programs import Ran, Runner
from tests.unit.envcheck.test_probes import write


def machine(root: Path, *, vendor: str = "0x10de", pci_class: str = "0x068000", systemd: bool = True) -> Path:
    for address in ("0000:05:00.0", "0000:06:00.0"):
        write(root, f"/sys/bus/pci/devices/{address}/vendor", f"{vendor}\n")
        write(root, f"/sys/bus/pci/devices/{address}/class", f"{pci_class}\n")
    if systemd:
        (root / "run/systemd/system").mkdir(parents=True)
    return root


def answers(state: str, version: str = "Fabric Manager version is : 570.124.06\n") -> Runner:
    def runner(argv: Sequence[str]) -> Ran:
        return Ran(0, version) if argv[0] == "nv-fabricmanager" else Ran(3, f"{state}\n", "told by a test")

    return runner


@pytest.mark.parametrize("state", ["active", "inactive", "failed", "unknown"])
def test_the_service_is_what_systemd_says(state: str, tmp_path: Path) -> None:
    seen = probe_fabric(machine(tmp_path), answers(state))
    assert seen == FabricManager(2, state, "570.124.06")


def test_an_answer_that_is_no_state_is_a_reason(tmp_path: Path) -> None:
    seen = probe_fabric(machine(tmp_path), answers("offline"))
    assert seen == FabricManager(2, None, None, "told by a test")


def test_a_manager_that_is_not_installed_has_no_version(tmp_path: Path) -> None:
    assert probe_fabric(machine(tmp_path), answers("unknown", "")).version is None


def test_where_systemd_does_not_run_nothing_is_asked(tmp_path: Path) -> None:
    seen = probe_fabric(machine(tmp_path, systemd=False), pytest.fail)
    assert seen == FabricManager(2, error="no systemd here to ask for the service")


@pytest.mark.parametrize("other", [{"vendor": "0x8086"}, {"pci_class": "0x030200"}])
def test_without_a_switch_nothing_is_asked(other: dict[str, str], tmp_path: Path) -> None:
    assert probe_fabric(machine(tmp_path, **other), pytest.fail) == FabricManager()
