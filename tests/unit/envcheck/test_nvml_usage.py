"""What uses a GPU now, by envcheck's own ctypes against a fake library that gcc compiles (simulated driver)."""

from __future__ import annotations

from pathlib import Path

from envcheck.facts import GpuUsage
from envcheck.facts_usage import GpuProcess
from envcheck.probes.nvml import probe_nvml
from tests.unit.envcheck.test_fake_drivers import SYSTEM, environ

GIB = 1 << 30


def usages(library: Path, **changes: str) -> list[GpuUsage]:
    devices = probe_nvml(SYSTEM, environ(library, **changes), usage=True).devices
    return [device.usage for device in devices if device.usage is not None]


def test_usage_is_read_only_where_it_is_asked_for(fake_driver: Path) -> None:
    assert probe_nvml(SYSTEM, environ(fake_driver)).devices[0].usage is None


def test_memory_utilisation_and_processes_of_each_card(fake_driver: Path) -> None:
    idle, busy = usages(fake_driver, FAKE_NVML_COUNT="2", FAKE_NVML_USED="1,20", FAKE_NVML_BUSY="0,4711")
    assert (idle.memory_used, idle.utilisation, idle.processes) == (GIB, 42, ())
    assert (busy.memory_used, busy.processes) == (20 * GIB, (GpuProcess(4711, 3 * GIB),))


def test_a_process_that_only_draws_is_told_from_one_that_computes(fake_driver: Path) -> None:
    found = usages(fake_driver, FAKE_NVML_BUSY="4711", FAKE_NVML_DRAWS="99")[0].processes
    assert found is not None
    assert [(process.pid, process.compute) for process in found] == [(4711, True), (99, False)]


def test_a_process_that_computes_and_draws_is_listed_once(fake_driver: Path) -> None:
    found = usages(fake_driver, FAKE_NVML_BUSY="99", FAKE_NVML_DRAWS="99")[0].processes
    assert found == (GpuProcess(99, 3 * GIB),)


def test_more_processes_than_there_was_room_for_are_all_listed(fake_driver: Path) -> None:
    found = usages(fake_driver, FAKE_NVML_CROWD="300")[0].processes
    assert found is not None and len(found) == 300
    assert found[0].memory is None, "the driver's word for a number it does not have"


def test_instances_come_with_number_uuid_and_memory(fake_driver: Path) -> None:
    used = usages(fake_driver, FAKE_NVML_MIG="2")[0]
    assert [instance.index for instance in used.instances] == [0, 1]
    assert all(instance.uuid.startswith("MIG-") for instance in used.instances)
    assert used.instances[0].memory_total == 24 * GIB
    assert used.utilisation is None and "nvmlDeviceGetUtilizationRates" in used.unread["utilisation"]
