# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Reads from NVML what uses one GPU now: memory, utilisation, processes, MIG instances. Layouts: nvml.h."""

from __future__ import annotations

import ctypes
from typing import Any

from envcheck.probes.children.nvml_calls import NotReadError, call, number, numbers, read, text

MEMORY_VERSION = 0x02000028  # nvmlMemory_v2: version 2, 40 bytes
INSUFFICIENT_SIZE = 7  # nvmlReturn_t
MOST_PROCESSES = 4096
UNKNOWN_MEMORY = 2**64 - 1  # NVML_VALUE_NOT_AVAILABLE


class MemoryInfo(ctypes.Structure):
    """nvmlMemory_t, bytes; `used` includes what the driver reserves."""

    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class MemoryInfo2(ctypes.Structure):
    """nvmlMemory_v2_t, bytes; of drivers since 510."""

    _fields_ = [
        ("version", ctypes.c_uint),
        ("total", ctypes.c_ulonglong),
        ("reserved", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


class ProcessInfo(ctypes.Structure):
    """nvmlProcessInfo_t of the functions with _v2 and _v3."""

    _fields_ = [
        ("pid", ctypes.c_uint),
        ("memory", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


def usage(library: Any, handle: Any) -> dict[str, Any]:
    """The fields of facts_usage.GpuUsage."""
    values: dict[str, Any] = {}
    unread: dict[str, str] = {}
    read(values, unread, "memory_used", lambda: memory(library, handle)[1])
    rates = (ctypes.c_uint * 2)()

    def utilisation() -> int:
        call(library, "nvmlDeviceGetUtilizationRates", handle, ctypes.byref(rates))
        return int(rates[0])

    read(values, unread, "utilisation", utilisation)
    read(values, unread, "processes", lambda: _processes(library, handle))
    return {**values, "instances": instances(library, handle), "unread": unread}


def memory(library: Any, handle: Any) -> tuple[int, int]:
    """Total and used bytes. Raises NotReadError."""
    info = MemoryInfo2(version=MEMORY_VERSION)
    try:
        call(library, "nvmlDeviceGetMemoryInfo_v2", handle, ctypes.byref(info))
    except NotReadError:
        older = MemoryInfo()
        call(library, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(older))
        return int(older.total), int(older.used)
    return int(info.total), int(info.used)


def _processes(library: Any, handle: Any) -> list[dict[str, Any]]:
    """Compute processes, then those that only draw. Raises NotReadError where neither can be listed."""
    found = _running(library, handle, "Compute")
    known = {process["pid"] for process in found}
    try:
        drawing = _running(library, handle, "Graphics")
    except NotReadError:
        drawing = []
    return found + [process for process in drawing if process["pid"] not in known]


def _running(library: Any, handle: Any, kind: str) -> list[dict[str, Any]]:
    names = [f"nvmlDeviceGet{kind}RunningProcesses{version}" for version in ("_v3", "_v2")]
    name = next((name for name in names if getattr(library, name, None) is not None), names[0])
    room = 64
    while True:
        count, rows = ctypes.c_uint(room), (ProcessInfo * room)()
        try:
            call(library, name, handle, ctypes.byref(count), rows)
        except NotReadError as error:
            if not str(error).endswith(f" {INSUFFICIENT_SIZE}") or room >= MOST_PROCESSES:
                raise
            room *= 4
            continue
        return [_process(row, kind) for row in rows[: count.value]]


def _process(row: Any, kind: str) -> dict[str, Any]:
    used = int(row.memory)
    return {"pid": int(row.pid), "memory": None if used == UNKNOWN_MEMORY else used, "compute": kind == "Compute"}


def mig_enabled(library: Any, handle: Any) -> bool:
    """Whether the card is in MIG mode now. Raises NotReadError for one that cannot be."""
    return bool(numbers(library, "nvmlDeviceGetMigMode", *[ctypes.c_uint] * 2, before=(handle,))[0])


def instances(library: Any, handle: Any) -> list[dict[str, Any]]:
    """The card's MIG instances, the fields of facts_usage.MigInstance; none where it is not in MIG mode."""
    found: list[dict[str, Any]] = []
    try:
        most = number(library, "nvmlDeviceGetMaxMigDeviceCount", handle) if mig_enabled(library, handle) else 0
    except NotReadError:
        return found
    for index in range(most):
        try:
            found.append(_instance(library, handle, index))
        except NotReadError:
            continue  # An index without an instance is no error of the list: others may follow.
    return found


def _instance(library: Any, handle: Any, index: int) -> dict[str, Any]:
    instance = ctypes.c_void_p()
    call(library, "nvmlDeviceGetMigDeviceHandleByIndex", handle, ctypes.c_uint(index), ctypes.byref(instance))
    values: dict[str, Any] = {"index": index, "uuid": text(library, "nvmlDeviceGetUUID", instance)}
    unread: dict[str, str] = {}
    read(values, unread, "name", lambda: text(library, "nvmlDeviceGetName", instance))
    values["name"] = values["name"] or ""
    try:
        values["memory_total"], values["memory_used"] = memory(library, instance)
    except NotReadError:
        values["memory_total"] = values["memory_used"] = None
    return values
