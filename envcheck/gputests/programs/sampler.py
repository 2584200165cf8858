# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""What NVML says of a GPU while it works: why its clocks are held back, its PCIe link, temperature and power.

Signatures: nvml.h, https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html; the bits:
https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
"""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path
from typing import Any

from envcheck.probes.children.nvml_health import PciInfo

INTERVAL = 0.1
REASONS = {
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}
# The function was renamed with driver 535; older drivers have only the second name.
CLOCKS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
LINK = {
    "pcie_generation": "nvmlDeviceGetCurrPcieLinkGeneration",
    "pcie_generation_max": "nvmlDeviceGetMaxPcieLinkGeneration",
    "pcie_width": "nvmlDeviceGetCurrPcieLinkWidth",
    "pcie_width_max": "nvmlDeviceGetMaxPcieLinkWidth",
}
PCI_DEVICES = "/sys/bus/pci/devices"
TEMPERATURE_GPU = 0  # nvmlTemperatureSensors_t
SM_CLOCK = 1  # nvmlClockType_t
NOT_FOUND = 13  # NVML_ERROR_FUNCTION_NOT_FOUND, also for a name the library does not have


class Sampler:
    """As a context manager: samples in a thread of its own. It never raises; `seen` says what could not be read."""

    def __init__(
        self, uuid: str, library: str = "libnvidia-ml.so.1", interval: float = INTERVAL, pci: str = PCI_DEVICES
    ) -> None:
        self._pci = Path(pci)
        self._seen: dict[str, Any] = {"samples": 0, "reasons": dict.fromkeys(REASONS, 0)}
        self._interval = interval
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._nvml: Any = None
        self._device = ctypes.c_void_p()
        try:
            self._nvml = ctypes.CDLL(library)
            self._open(uuid)
        except OSError as error:
            self._seen["sampler_error"] = f"NVML does not load: {error}"

    def __enter__(self) -> None:
        if "sampler_error" not in self._seen:
            self._thread.start()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def seen(self) -> dict[str, Any]:
        """Number of samples, in how many each reason was set, and the highest link, temperature and power."""
        return self._seen

    def _open(self, uuid: str) -> None:
        code = self._call("nvmlInit_v2") or self._call(
            "nvmlDeviceGetHandleByUUID", uuid.encode("ascii"), ctypes.byref(self._device)
        )
        if code == 0 and uuid.startswith("MIG-"):
            # Clocks and link are those of the whole card.
            instance, self._device = self._device, ctypes.c_void_p()
            code = self._call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", instance, ctypes.byref(self._device))
        if code != 0:
            self._seen["sampler_error"] = f"NVML does not find this GPU (code {code})"
        elif (width := self._slot_width()) is not None:
            self._seen["pcie_slot"] = width

    def _slot_width(self) -> int | None:
        """Lanes of the port above the card, by sysfs: NVML does not tell them everywhere."""
        info = PciInfo()
        if self._call("nvmlDeviceGetPciInfo_v3", self._device, ctypes.byref(info)) != 0:
            return None
        # NVML writes the domain with eight digits, the kernel with four.
        address = bytes(info.bus_id).decode("ascii", "replace").lower()[4:]
        try:
            text = ((self._pci / address).resolve().parent / "max_link_width").read_text(encoding="ascii")
        except (OSError, ValueError):
            return None
        return int(text) if text.strip().isdecimal() and 0 < int(text) < 255 else None

    def _sample(self) -> None:
        while not self._ended.wait(self._interval):
            self._reasons()
            for name, function in LINK.items():
                self._keep(name, function)
            self._keep("temperature", "nvmlDeviceGetTemperature", ctypes.c_uint(TEMPERATURE_GPU))
            self._keep("milliwatts", "nvmlDeviceGetPowerUsage")
            self._keep("megahertz", "nvmlDeviceGetClockInfo", ctypes.c_uint(SM_CLOCK))
            self._seen["samples"] += 1

    def _reasons(self) -> None:
        bits = ctypes.c_ulonglong(0)
        codes = []
        for function in CLOCKS:
            codes.append(self._call(function, self._device, ctypes.byref(bits)))
            if codes[-1] == 0:
                break
        if codes[-1] != 0:
            self._seen["reasons_code"] = codes[0] if codes[0] != NOT_FOUND else codes[-1]
        for name, bit in REASONS.items():
            self._seen["reasons"][name] += bool(bits.value & bit)

    def _keep(self, name: str, function: str, *before: Any) -> None:
        value = ctypes.c_uint(0)
        code = self._call(function, self._device, *before, ctypes.byref(value))
        if code == 0:
            self._seen[name] = max(int(value.value), self._seen.get(name, 0))
        elif name.startswith("pcie"):
            self._seen["pcie_code"] = code

    def _call(self, function: str, *arguments: Any) -> int:
        found = getattr(self._nvml, function, None)
        return NOT_FOUND if found is None else int(found(*arguments))
