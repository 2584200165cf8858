# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Loads libnvidia-ml, initialises it and describes every device. Run by probes/nvml.py.

ctypes rather than nvidia-ml-py: the same code runs where nothing is installed. Signatures: nvml.h.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from envcheck.probes.children.emitter import Emitter, loaded_libraries
from envcheck.probes.children.nvml_calls import number, numbers, read, text
from envcheck.probes.children.nvml_health import condition
from envcheck.probes.children.nvml_usage import instances, memory, mig_enabled, usage

# An argument: also read what uses each GPU now.
USAGE = "usage"


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
    read(values, unread, "uuid", lambda: text(library, "nvmlDeviceGetUUID", handle))
    read(values, unread, "name", lambda: text(library, "nvmlDeviceGetName", handle))
    read(values, unread, "memory_total", lambda: memory(library, handle)[0])
    read(values, unread, "compute_capability", lambda: _capability(library, handle))
    read(values, unread, "mig", lambda: mig_enabled(library, handle))
    values["mig_uuids"] = [instance["uuid"] for instance in instances(library, handle)]
    read(values, unread, "brand", lambda: number(library, "nvmlDeviceGetBrand", handle))
    older, health = condition(library, handle)
    health["unread"] = {**unread, **health["unread"]}
    used = {"usage": usage(library, handle)} if USAGE in sys.argv[1:] else {}
    return {**values, **older, **used, "health": health}


def _capability(library: Any, handle: ctypes.c_void_p) -> str:
    function = "nvmlDeviceGetCudaComputeCapability"
    major, minor = numbers(library, function, ctypes.c_int, ctypes.c_int, before=(handle,))
    return f"{major}.{minor}"
