# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Runs one kernel on every GPU through the CUDA driver API alone: no PyTorch, no toolkit.

Arguments: the stages to run (`run 0`), none for all. Signatures and the _v2 names: cuda.h, https://docs.nvidia.com/cuda/cuda-driver-api/.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import time
import uuid
from typing import Any

from envcheck.gputests.programs.harness import die_with_parent
from envcheck.probes.children.emitter import Emitter

SIZE = 1 << 16
BLOCK = 256
FUNCTION = b"envcheck_fma"
# The driver compiles PTX for whatever card is there. sm_50 reaches back to Maxwell; the second row is for a driver
# that no longer takes so old a target.
TARGETS = (("6.4", "sm_50"), ("7.0", "sm_75"))
PTX = """
.version {version}
.target {target}
.address_size 64
.visible .entry envcheck_fma(.param .u64 p_out, .param .u64 p_a, .param .u64 p_b, .param .u32 p_n)
{{
    .reg .pred %p<2>;
    .reg .f32 %f<5>;
    .reg .b32 %r<6>;
    .reg .b64 %rd<11>;
    ld.param.u64 %rd1, [p_out];
    ld.param.u64 %rd2, [p_a];
    ld.param.u64 %rd3, [p_b];
    ld.param.u32 %r1, [p_n];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p1, %r5, %r1;
    @%p1 bra DONE;
    cvta.to.global.u64 %rd4, %rd1;
    cvta.to.global.u64 %rd5, %rd2;
    cvta.to.global.u64 %rd6, %rd3;
    mul.wide.u32 %rd7, %r5, 4;
    add.s64 %rd8, %rd5, %rd7;
    add.s64 %rd9, %rd6, %rd7;
    add.s64 %rd10, %rd4, %rd7;
    ld.global.f32 %f1, [%rd8];
    ld.global.f32 %f2, [%rd9];
    cvt.rn.f32.u32 %f3, %r5;
    fma.rn.f32 %f4, %f1, %f2, %f3;
    st.global.f32 [%rd10], %f4;
DONE:
    ret;
}}
"""

CONTEXT = MODULE = KERNEL = STREAM = ctypes.c_void_p
DEVICE = ctypes.c_int
ADDRESS = ctypes.c_uint64  # CUdeviceptr
COUNT = ctypes.c_uint
SIGNATURES: dict[str, Any] = {
    "cuInit": [COUNT],
    "cuDeviceGetCount": [ctypes.POINTER(ctypes.c_int)],
    "cuDeviceGet": [ctypes.POINTER(DEVICE), ctypes.c_int],
    "cuDeviceGetName": [ctypes.c_char_p, ctypes.c_int, DEVICE],
    "cuDeviceGetUuid": [ctypes.c_char_p, DEVICE],
    "cuDeviceGetUuid_v2": [ctypes.c_char_p, DEVICE],
    "cuDevicePrimaryCtxRetain": [ctypes.POINTER(CONTEXT), DEVICE],
    "cuDevicePrimaryCtxRelease_v2": [DEVICE],
    "cuCtxSetCurrent": [CONTEXT],
    "cuCtxSynchronize": [],
    "cuModuleLoadData": [ctypes.POINTER(MODULE), ctypes.c_char_p],
    "cuModuleGetFunction": [ctypes.POINTER(KERNEL), MODULE, ctypes.c_char_p],
    "cuModuleUnload": [MODULE],
    "cuMemAlloc_v2": [ctypes.POINTER(ADDRESS), ctypes.c_size_t],
    "cuMemFree_v2": [ADDRESS],
    "cuMemcpyHtoD_v2": [ADDRESS, ctypes.c_void_p, ctypes.c_size_t],
    "cuMemcpyDtoH_v2": [ctypes.c_void_p, ADDRESS, ctypes.c_size_t],
    "cuLaunchKernel": [KERNEL, *[COUNT] * 7, STREAM, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_void_p)],
}


class DriverError(Exception):
    """A driver function returned something other than CUDA_SUCCESS."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function} returned {code}")
        self.code = code


class Driver:
    """libcuda.so.1 with its signatures set; `call` raises DriverError."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")

    def call(self, function: str, *arguments: Any) -> None:
        """Call `function`. Raises AttributeError where this driver has no such function."""
        found = getattr(self._library, function)
        found.argtypes = SIGNATURES[function]
        found.restype = ctypes.c_int
        code = found(*arguments)
        if code != 0:
            raise DriverError(function, code)


def main() -> None:
    """Stage `init`, then `describe N` and `run N` for every GPU that is asked for."""
    die_with_parent()
    chosen, emitter = sys.argv[1:], Emitter()
    count = ctypes.c_int(0)
    driver: Any = None
    with emitter.stage("init") as values, _Numbered(values):
        driver = Driver()
        driver.call("cuInit", 0)
        driver.call("cuDeviceGetCount", ctypes.byref(count))
        values["count"] = count.value
    for index in range(count.value):
        if chosen and f"run {index}" not in chosen:
            continue
        with emitter.stage(f"describe {index}") as values, _Numbered(values):
            values.update(_describe(driver, _device(driver, index)), index=index)
        with emitter.stage(f"run {index}") as values, _Numbered(values):
            started = time.perf_counter()
            values["wrong"] = _run(driver, _device(driver, index))
            values["seconds"] = time.perf_counter() - started


class _Numbered:
    """Keeps a driver's error number beside its text."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, DriverError):
            self._values["code"] = error.code


def _device(driver: Driver, index: int) -> ctypes.c_int:
    device = DEVICE(0)
    driver.call("cuDeviceGet", ctypes.byref(device), index)
    return device


def _describe(driver: Driver, device: ctypes.c_int) -> dict[str, Any]:
    name = ctypes.create_string_buffer(256)
    driver.call("cuDeviceGetName", name, len(name), device)
    card = ctypes.create_string_buffer(16)
    driver.call("cuDeviceGetUuid", card, device)
    instance = ctypes.create_string_buffer(card.raw, 16)
    # Since CUDA 11.4: the instance's own identity where the device is a MIG instance.
    with contextlib.suppress(AttributeError):
        driver.call("cuDeviceGetUuid_v2", instance, device)
    prefix = "GPU" if instance.raw == card.raw else "MIG"
    return {"name": name.value.decode("utf-8", "replace"), "uuid": f"{prefix}-{uuid.UUID(bytes=instance.raw)}"}


def _run(driver: Driver, device: ctypes.c_int) -> int:
    """How many of SIZE results are not a * b + i. The primary context is the one PyTorch uses too."""
    context = CONTEXT()
    driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    try:
        driver.call("cuCtxSetCurrent", context)
        module = _load(driver)
        kernel = KERNEL()
        driver.call("cuModuleGetFunction", ctypes.byref(kernel), module, FUNCTION)
        wrong = _compute(driver, kernel)
        driver.call("cuModuleUnload", module)
        return wrong
    finally:
        driver.call("cuDevicePrimaryCtxRelease_v2", device)


def _load(driver: Driver) -> ctypes.c_void_p:
    module = MODULE()
    for number, (version, target) in enumerate(TARGETS, start=1):
        try:
            text = PTX.format(version=version, target=target).encode("ascii")
            driver.call("cuModuleLoadData", ctypes.byref(module), text)
            break
        except DriverError:
            if number == len(TARGETS):
                raise
    return module


def _compute(driver: Driver, kernel: ctypes.c_void_p) -> int:
    row = ctypes.c_float * SIZE
    # Small whole numbers: every product and sum is exact in fp32, so the comparison is for equality.
    a, b, out = row(*(i % 97 for i in range(SIZE))), row(*(i % 89 for i in range(SIZE))), row()
    size = ctypes.sizeof(row)
    addresses = [ADDRESS(0), ADDRESS(0), ADDRESS(0)]
    try:
        for address in addresses:
            driver.call("cuMemAlloc_v2", ctypes.byref(address), size)
        for address, values in zip(addresses, (out, a, b), strict=True):
            driver.call("cuMemcpyHtoD_v2", address, values, size)
        length = ctypes.c_uint(SIZE)
        pointers = [ctypes.cast(ctypes.byref(item), ctypes.c_void_p) for item in (*addresses, length)]
        parameters = (ctypes.c_void_p * len(pointers))(*pointers)
        driver.call("cuLaunchKernel", kernel, SIZE // BLOCK, 1, 1, BLOCK, 1, 1, 0, None, parameters, None)
        driver.call("cuCtxSynchronize")
        driver.call("cuMemcpyDtoH_v2", out, addresses[0], size)
    finally:
        for address in addresses:
            if address.value:
                driver.call("cuMemFree_v2", address)
    return sum(out[i] != (i % 97) * (i % 89) + i for i in range(SIZE))
