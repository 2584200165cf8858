# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Loads libcuda, calls cuInit and counts devices; reports every number. Run by probes/cuda.py."""

from __future__ import annotations

import ctypes
from typing import Any

from envcheck.probes.children.emitter import Emitter, loaded_libraries

COMPUTE_CAPABILITY_MAJOR = 75  # CUdevice_attribute, cuda.h
COMPUTE_CAPABILITY_MINOR = 76


def main() -> None:
    """Stages load, version, init, count, devices, ptx; later ones only where the earlier succeeded."""
    emitter = Emitter()
    library: Any = None
    with emitter.stage("load") as values:
        library = ctypes.CDLL("libcuda.so.1")
        values["path"] = next(iter(loaded_libraries("libcuda.so")), None)
    if library is None:
        return
    version = ctypes.c_int(0)
    with emitter.stage("version") as values:
        values["code"] = library.cuDriverGetVersion(ctypes.byref(version))
        values["version"] = version.value
    with emitter.stage("init") as values:
        library.cuInit.argtypes = [ctypes.c_uint]
        values["code"] = code = library.cuInit(0)
        # cuInit may load further files: look again.
        values["path"] = next(iter(loaded_libraries("libcuda.so")), None)
    if code != 0:
        return
    count = ctypes.c_int(0)
    with emitter.stage("count") as values:
        values["code"] = library.cuDeviceGetCount(ctypes.byref(count))
        values["count"] = count.value
    with emitter.stage("devices") as values:
        values["devices"] = [_device(library, index) for index in range(count.value)]
    with emitter.stage("ptx"):
        # libcuda loads it by this name when it must compile PTX; its absence is CUDA error 221 then.
        ctypes.CDLL("libnvidia-ptxjitcompiler.so.1")


def _device(library: Any, index: int) -> dict[str, Any]:
    device, name = ctypes.c_int(0), ctypes.create_string_buffer(256)
    library.cuDeviceGet(ctypes.byref(device), ctypes.c_int(index))
    library.cuDeviceGetName(name, ctypes.c_int(len(name)), device)
    numbers = []
    for attribute in (COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR):
        number = ctypes.c_int(0)
        if library.cuDeviceGetAttribute(ctypes.byref(number), ctypes.c_int(attribute), device) == 0:
            numbers.append(str(number.value))
    capability = ".".join(numbers) if len(numbers) == 2 else None
    return {"index": index, "name": name.value.decode("utf-8", "replace"), "capability": capability}
