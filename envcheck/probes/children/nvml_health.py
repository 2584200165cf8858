# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Reads one GPU's condition from NVML, field by field. Constants and layouts: nvml.h."""

from __future__ import annotations

import ctypes
from typing import Any

from envcheck.probes.children.nvml_calls import NotReadError, call, number, numbers, read

CORRECTED, UNCORRECTED = 0, 1  # nvmlMemoryErrorType_t
VOLATILE, AGGREGATE = 0, 1  # nvmlEccCounterType_t: since the driver was loaded, and of the card's lifetime
LINKS = 36  # NVML_NVLINK_MAX_LINKS
FABRIC_VERSION = 0x02000024  # nvmlGpuFabricInfo_v2: version 2, 36 bytes


class PciInfo(ctypes.Structure):
    """nvmlPciInfo_t."""

    _fields_ = [
        ("bus_id_legacy", ctypes.c_char * 16),
        ("numbers", ctypes.c_uint * 5),
        ("bus_id", ctypes.c_char * 32),
    ]


class FabricInfo(ctypes.Structure):
    """nvmlGpuFabricInfo_v2_t; version 1 is the same without its first and its last field."""

    _fields_ = [
        ("version", ctypes.c_uint),
        ("cluster", ctypes.c_ubyte * 16),
        ("status", ctypes.c_int),
        ("clique", ctypes.c_uint),
        ("state", ctypes.c_ubyte),
        ("health", ctypes.c_uint),
    ]


def condition(library: Any, handle: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of facts.NvmlDevice that concern health, and those of facts.GpuHealth."""
    older: dict[str, Any] = {}
    health: dict[str, Any] = {}
    unread: dict[str, str] = {}
    read(older, unread, "compute_mode", lambda: number(library, "nvmlDeviceGetComputeMode", handle))
    _memory(library, handle, older, health, unread)
    _link(library, handle, health, unread)
    read(health, unread, "clocks_event_reasons", lambda: _clocks(library, handle))
    read(health, unread, "persistence", lambda: bool(number(library, "nvmlDeviceGetPersistenceMode", handle)))
    return older, {**health, "unread": unread}


def _memory(library: Any, handle: Any, older: dict[str, Any], health: dict[str, Any], unread: dict[str, str]) -> None:
    def errors(kind: int, counter: int) -> int:
        before = (handle, ctypes.c_uint(kind), ctypes.c_uint(counter))
        return numbers(library, "nvmlDeviceGetTotalEccErrors", ctypes.c_ulonglong, before=before)[0]

    def ecc_mode() -> bool:
        return bool(numbers(library, "nvmlDeviceGetEccMode", *[ctypes.c_uint] * 2, before=(handle,))[0])

    def retired() -> bool:
        return bool(number(library, "nvmlDeviceGetRetiredPagesPendingStatus", handle))

    read(health, unread, "ecc_enabled", ecc_mode)
    read(older, unread, "ecc_uncorrected", lambda: errors(UNCORRECTED, VOLATILE))
    read(health, unread, "ecc_corrected", lambda: errors(CORRECTED, VOLATILE))
    read(health, unread, "ecc_uncorrected_lifetime", lambda: errors(UNCORRECTED, AGGREGATE))
    read(health, unread, "retired_pages_pending", retired)
    names = ("remapped_corrected", "remapped_uncorrected", "remap_pending", "remap_failure")
    try:
        found: list[Any] = list(numbers(library, "nvmlDeviceGetRemappedRows", *[ctypes.c_uint] * 4, before=(handle,)))
        found[2:] = map(bool, found[2:])
    except NotReadError as error:
        found = [None] * 4
        unread.update(dict.fromkeys(names, str(error)))
    health.update(zip(names[:2], found[:2]))  # noqa: B905  (strict= needs Python 3.10; this may run in an older one)
    older.update(zip(names[2:], found[2:]))  # noqa: B905


def _link(library: Any, handle: Any, health: dict[str, Any], unread: dict[str, str]) -> None:
    functions = {
        "pcie_width": "nvmlDeviceGetCurrPcieLinkWidth",
        "pcie_width_max": "nvmlDeviceGetMaxPcieLinkWidth",
        "pcie_generation": "nvmlDeviceGetCurrPcieLinkGeneration",
        "pcie_generation_max": "nvmlDeviceGetMaxPcieLinkGeneration",
    }
    for name, function in functions.items():
        read(health, unread, name, lambda function=function: number(library, function, handle))  # type: ignore[misc]
    read(health, unread, "pci", lambda: _pci(library, handle))
    fabric: dict[str, Any] = {}
    read(fabric, unread, "fabric_state", lambda: _fabric(library, handle))
    health["fabric_state"], health["fabric_status"] = fabric["fabric_state"] or (None, None)
    _nvlinks(library, handle, health, unread)


def _pci(library: Any, handle: Any) -> str:
    info = PciInfo()
    call(library, "nvmlDeviceGetPciInfo_v3", handle, ctypes.byref(info))
    return bytes(info.bus_id).decode("ascii", "replace").lower()


def _fabric(library: Any, handle: Any) -> tuple[int, int]:
    info = FabricInfo(version=FABRIC_VERSION)
    try:
        call(library, "nvmlDeviceGetGpuFabricInfoV", handle, ctypes.byref(info))
    except NotReadError:
        # Drivers before 550 know version 1 only.
        first = ctypes.byref(info, FabricInfo.cluster.offset)
        call(library, "nvmlDeviceGetGpuFabricInfo", handle, first)
    return int(info.state), int(info.status)


def _nvlinks(library: Any, handle: Any, health: dict[str, Any], unread: dict[str, str]) -> None:
    states: dict[int, int] = {}
    for link in range(LINKS):
        try:
            before = (handle, ctypes.c_uint(link))
            states[link] = numbers(library, "nvmlDeviceGetNvLinkState", ctypes.c_uint, before=before)[0]
        except NotReadError as error:
            if link == 0:
                unread["nvlinks_active"] = unread["nvlinks_inactive"] = str(error)
                health["nvlinks_active"] = health["nvlinks_inactive"] = None
                return
            break
    health["nvlinks_active"] = [link for link, active in states.items() if active]
    health["nvlinks_inactive"] = [link for link, active in states.items() if not active]


def _clocks(library: Any, handle: Any) -> int:
    try:
        return number(library, "nvmlDeviceGetCurrentClocksEventReasons", handle, ctypes.c_ulonglong)
    except NotReadError:
        # Its name before driver 535.
        return number(library, "nvmlDeviceGetCurrentClocksThrottleReasons", handle, ctypes.c_ulonglong)
