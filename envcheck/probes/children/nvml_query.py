# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Loads libnvidia-ml, initialises it and describes every device. Run by probes/nvml.py.

ctypes rather than nvidia-ml-py: the same code runs where nothing is installed. Signatures: nvml.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from envcheck.probes.children.emitter import Emitter, loaded_libraries

NAME_LENGTH = 96
UNCORRECTED = 1  # nvmlMemoryErrorType_t
VOLATILE = 0  # nvmlEccCounterType_t: since the last driver load


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
        values["driver_version"] = _text(library, "nvmlSystemGetDriverVersion")
        values["cuda_version"] = _first(_numbers(library, "nvmlSystemGetCudaDriverVersion_v2", ctypes.c_int))
    with emitter.stage("devices") as values:
        count = ctypes.c_uint(0)
        values["code"] = library.nvmlDeviceGetCount_v2(ctypes.byref(count))
        values["devices"] = devices = []
        values["failures"] = failures = []
        for index in range(count.value):
            handle = ctypes.c_void_p()
            code = library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle))
            if code == 0:
                devices.append(_device(library, index, handle))
            else:
                failures.append({"index": index, "code": code})


def _device(library: Any, index: int, handle: ctypes.c_void_p) -> dict[str, Any]:
    memory = MemoryInfo()
    known = _call(library, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
    capability = _numbers(library, "nvmlDeviceGetCudaComputeCapability", ctypes.c_int, ctypes.c_int, before=(handle,))
    mig = _numbers(library, "nvmlDeviceGetMigMode", ctypes.c_uint, ctypes.c_uint, before=(handle,))
    ecc = (handle, ctypes.c_uint(UNCORRECTED), ctypes.c_uint(VOLATILE))
    remapped = _numbers(library, "nvmlDeviceGetRemappedRows", *[ctypes.c_uint] * 4, before=(handle,))
    return {
        "index": index,
        "uuid": _text(library, "nvmlDeviceGetUUID", handle),
        "name": _text(library, "nvmlDeviceGetName", handle),
        "memory_total": memory.total if known else None,
        "compute_capability": f"{capability[0]}.{capability[1]}" if capability else None,
        "mig": bool(mig[0]) if mig else None,
        "mig_uuids": _mig_uuids(library, handle) if mig and mig[0] else [],
        "brand": _first(_numbers(library, "nvmlDeviceGetBrand", ctypes.c_uint, before=(handle,))),
        "compute_mode": _first(_numbers(library, "nvmlDeviceGetComputeMode", ctypes.c_uint, before=(handle,))),
        "ecc_uncorrected": _first(_numbers(library, "nvmlDeviceGetTotalEccErrors", ctypes.c_ulonglong, before=ecc)),
        "remap_pending": bool(remapped[2]) if remapped else None,
        "remap_failure": bool(remapped[3]) if remapped else None,
    }


def _mig_uuids(library: Any, handle: ctypes.c_void_p) -> list[str]:
    count = _first(_numbers(library, "nvmlDeviceGetMaxMigDeviceCount", ctypes.c_uint, before=(handle,))) or 0
    uuids = []
    for index in range(count):
        instance = ctypes.c_void_p()
        if _call(library, "nvmlDeviceGetMigDeviceHandleByIndex", handle, ctypes.c_uint(index), ctypes.byref(instance)):
            uuids.append(_text(library, "nvmlDeviceGetUUID", instance) or "")
    return uuids


def _call(library: Any, function: str, *arguments: Any) -> bool:
    """Whether the function exists in this driver and returned NVML_SUCCESS."""
    found: Callable[..., int] | None = getattr(library, function, None)
    return found is not None and found(*arguments) == 0


def _text(library: Any, function: str, *before: Any) -> str | None:
    buffer = ctypes.create_string_buffer(NAME_LENGTH)
    called = _call(library, function, *before, buffer, ctypes.c_uint(NAME_LENGTH))
    return buffer.value.decode("utf-8", "replace") if called else None


def _numbers(library: Any, function: str, *kinds: Any, before: Any = ()) -> list[int] | None:
    values = [kind(0) for kind in kinds]
    called = _call(library, function, *before, *[ctypes.byref(value) for value in values])
    return [int(value.value) for value in values] if called else None


def _first(values: list[int] | None) -> int | None:
    return values[0] if values else None
