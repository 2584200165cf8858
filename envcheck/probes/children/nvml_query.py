# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Loads libnvidia-ml, initialises it and describes every device. Run by probes/nvml.py.

ctypes rather than nvidia-ml-py: the same code runs where nothing is installed. Signatures: nvml.h.
"""

from __future__ import annotations

import ctypes
from typing import Any

from envcheck.probes.children.emitter import Emitter, loaded_libraries
from envcheck.probes.children.nvml_calls import call, number, numbers, read, text
from envcheck.probes.children.nvml_health import condition


class MemoryInfo(ctypes.Structure):
    """nvmlMemory_t, bytes."""

    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


def main() -> None:
    """Stages load, init, system, devices; later ones only where the earlier succeeded."""
    emitter = Emitter()
    library: Any = None
    with emitter.stage("load") as values:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        values["path"] = next(iter(loaded_libraries("libnvidia-ml.so")), None)
    if library is None:
        return
    with emitter.stage("init") as values:
        values["code"] = code = library.nvmlInit_v2()
    if code != 0:
        return
    with emitter.stage("system") as values:
        unread: dict[str, str] = {}
        read(values, unread, "driver_version", lambda: text(library, "nvmlSystemGetDriverVersion"))
        version = "nvmlSystemGetCudaDriverVersion_v2"
        read(values, unread, "cuda_version", lambda: numbers(library, version, ctypes.c_int)[0])
    with emitter.stage("devices") as values:
        values["devices"], values["failures"] = [], []
        _list(library, values)


def _list(library: Any, values: dict[str, Any]) -> None:
    """Fills the lists one by one, so that an exception leaves what was read before."""
    count = ctypes.c_uint(0)
    values["code"] = library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    for index in range(count.value):
        handle = ctypes.c_void_p()
        code = library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle))
        if code == 0:
            values["devices"].append(_device(library, index, handle))
        else:
            values["failures"].append({"index": index, "code": code})


def _device(library: Any, index: int, handle: ctypes.c_void_p) -> dict[str, Any]:
    values: dict[str, Any] = {"index": index}
    unread: dict[str, str] = {}

    def mig() -> bool:
        return bool(numbers(library, "nvmlDeviceGetMigMode", *[ctypes.c_uint] * 2, before=(handle,))[0])

    read(values, unread, "uuid", lambda: text(library, "nvmlDeviceGetUUID", handle))
    read(values, unread, "name", lambda: text(library, "nvmlDeviceGetName", handle))
    read(values, unread, "memory_total", lambda: _memory(library, handle))
    read(values, unread, "compute_capability", lambda: _capability(library, handle))
    read(values, unread, "mig", mig)
    values["mig_uuids"] = _mig_uuids(library, handle) if values["mig"] else []
    read(values, unread, "brand", lambda: number(library, "nvmlDeviceGetBrand", handle))
    older, health = condition(library, handle)
    health["unread"] = {**unread, **health["unread"]}
    return {**values, **older, "health": health}


def _memory(library: Any, handle: ctypes.c_void_p) -> int:
    memory = MemoryInfo()
    call(library, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
    return int(memory.total)


def _capability(library: Any, handle: ctypes.c_void_p) -> str:
    function = "nvmlDeviceGetCudaComputeCapability"
    major, minor = numbers(library, function, ctypes.c_int, ctypes.c_int, before=(handle,))
    return f"{major}.{minor}"


def _mig_uuids(library: Any, handle: ctypes.c_void_p) -> list[str]:
    uuids = []
    unread: dict[str, str] = {}
    counted: dict[str, Any] = {}
    read(counted, unread, "most", lambda: number(library, "nvmlDeviceGetMaxMigDeviceCount", handle))
    for index in range(counted["most"] or 0):
        # An index without an instance is no error of the list: others may follow.
        read(counted, unread, "uuid", lambda index=index: _mig_uuid(library, handle, index))  # type: ignore[misc]
        if counted["uuid"]:
            uuids.append(str(counted["uuid"]))
    return uuids


def _mig_uuid(library: Any, handle: ctypes.c_void_p, index: int) -> str:
    instance = ctypes.c_void_p()
    call(library, "nvmlDeviceGetMigDeviceHandleByIndex", handle, ctypes.c_uint(index), ctypes.byref(instance))
    return text(library, "nvmlDeviceGetUUID", instance)
