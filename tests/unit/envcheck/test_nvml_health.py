"""NVML's readings through envcheck's own ctypes, against a fake library that gcc compiles (simulated driver)."""

from __future__ import annotations

from pathlib import Path

from envcheck.facts import NvmlDevice
from envcheck.probes.nvml import probe_nvml
from tests.unit.envcheck.test_fake_drivers import SYSTEM, environ


def first(library: Path, **changes: str) -> NvmlDevice:
    facts = probe_nvml(SYSTEM, environ(library, **changes))
    assert facts.error is None
    return facts.devices[0]


def test_a_card_of_a_data_center_tells_everything(fake_driver: Path) -> None:
    device = first(
        fake_driver,
        FAKE_NVML_ECC="2,5,9",
        FAKE_NVML_REMAP="1,3,1,0",
        FAKE_NVML_PCIE="8,16,1,5",
        FAKE_NVML_CLOCKS="72",
        FAKE_NVML_FABRIC="3",
        FAKE_NVML_LINKS="1101",
        FAKE_NVML_MODE="3",
    )
    assert (device.ecc_uncorrected, device.remap_pending, device.remap_failure, device.compute_mode) == (
        2,
        True,
        False,
        3,
    )
    health = device.health
    assert (health.ecc_enabled, health.ecc_corrected, health.ecc_uncorrected_lifetime) == (True, 5, 9)
    assert (health.remapped_corrected, health.remapped_uncorrected) == (1, 3)
    pcie = (health.pcie_width, health.pcie_width_max, health.pcie_generation, health.pcie_generation_max)
    assert pcie == (8, 16, 1, 5)
    assert (health.clocks_event_reasons, health.fabric_state, health.persistence) == (72, 3, True)
    assert (health.nvlinks_active, health.nvlinks_inactive) == ((0, 1, 3), (2,))
    assert health.pci == "00000000:0a:00.0"
    assert set(health.unread) == {"mig", "retired_pages_pending"}


def test_a_geforce_gives_its_reason_field_by_field(fake_driver: Path) -> None:
    health = first(fake_driver).health
    assert (health.ecc_enabled, health.fabric_state, health.nvlinks_active) == (None, None, None)
    reason = health.unread["remap_pending"]
    assert reason == "nvmlDeviceGetRemappedRows returned 3 (NVML_ERROR_NOT_SUPPORTED)"
    assert {"ecc_uncorrected", "ecc_enabled", "fabric_state", "nvlinks_active"} <= set(health.unread)


def test_an_older_driver_lacks_functions_and_the_rest_is_still_read(old_driver: Path) -> None:
    health = first(old_driver, FAKE_NVML_CLOCKS="64").health
    assert health.clocks_event_reasons == 64, "under the name it had before driver 535"
    assert health.unread["retired_pages_pending"].startswith("this driver's NVML has no ")
    assert health.unread["fabric_state"] == "this driver's NVML has no nvmlDeviceGetGpuFabricInfo"
    assert (health.pcie_width, health.pcie_width_max) == (16, 16)


def test_mig_instances_are_listed_by_their_uuid(fake_driver: Path) -> None:
    device = first(fake_driver, FAKE_NVML_MIG="2")
    assert (device.mig, len(device.mig_uuids)) == (True, 2)
    assert first(fake_driver, FAKE_NVML_MIG="0").mig_uuids == ()


def test_nvml_that_hangs_is_killed_and_is_a_reason(fake_driver: Path) -> None:
    facts = probe_nvml(SYSTEM, environ(fake_driver, FAKE_NVML_HANG="1"), timeout=5)
    assert facts.crash is not None and facts.crash.timed_out
    assert facts.error is not None and "did not answer" in facts.error
