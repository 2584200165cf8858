"""Invented machines on which everything works, as different as they come. None of them may be warned of anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envcheck.facts import (
    AllReduce,
    Card,
    Container,
    CudaDevice,
    FabricManager,
    Facts,
    Hardware,
    KernelLog,
    NvmlDevice,
    Runtime,
    Torchvision,
)
from tests.unit.envcheck.machines import change, gpu_host, torch

CU118 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_37", "sm_90")
CU126 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
CU128_211 = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
CU130 = (*CU128_211, "compute_120")

# Driver, and the CUDA version it knows.
DRIVERS = {
    "525.60.13": 12000, "525.147.05": 12000, "530.30.02": 12010, "535.54.03": 12020, "535.261.03": 12020,
    "545.23.06": 12030, "550.54.14": 12040, "550.163.01": 12040, "555.42.02": 12050, "560.35.05": 12060,
    "565.57.01": 12070, "570.26": 12080, "575.57.08": 12090, "580.95.05": 13000, "590.48.01": 13010,
    "595.71.05": 13020, "610.43.02": 13030, "700.10": 15000,
}  # fmt: skip
# Name, compute capability, PCI id, the oldest driver above that drives it, and whether its memory tells of errors.
CARDS = (
    ("NVIDIA GeForce GTX 1080", "6.1", "0x1b80", "525.60.13", False),
    ("Tesla P100-PCIE-16GB", "6.0", "0x15f8", "525.60.13", True),
    ("Tesla V100-SXM2-32GB", "7.0", "0x1db5", "525.60.13", True),
    ("Tesla T4", "7.5", "0x1eb8", "525.60.13", True),
    ("NVIDIA GeForce RTX 2060", "7.5", "0x1f08", "525.60.13", False),
    ("NVIDIA GeForce RTX 3090", "8.6", "0x2204", "525.60.13", False),
    ("NVIDIA A100-SXM4-80GB", "8.0", "0x20b2", "525.60.13", True),
    ("NVIDIA A10G", "8.6", "0x2237", "525.60.13", True),
    ("NVIDIA GeForce RTX 4090", "8.9", "0x2684", "525.60.13", False),
    ("NVIDIA L4", "8.9", "0x27b8", "525.60.13", True),
    ("NVIDIA L40S", "8.9", "0x26b9", "535.54.03", True),
    ("NVIDIA H100 80GB HBM3", "9.0", "0x2330", "525.60.13", True),
    ("NVIDIA H200", "9.0", "0x2335", "550.163.01", True),
    ("NVIDIA GH200 480GB", "9.0", "0x2342", "550.54.14", True),
    ("NVIDIA B200", "10.0", "0x2901", "575.57.08", True),
    ("NVIDIA B300 SXM6 AC", "10.3", "0x3182", "580.95.05", True),
    ("NVIDIA GeForce RTX 5090", "12.0", "0x2b85", "570.26", False),
    ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "12.0", "0x2bb1", "575.57.08", True),
    ("NVIDIA GB10", "12.1", "0x2e12", "580.95.05", False),
)


def card(name: str, driver: str = "580.95.05", **changes: Any) -> Facts:
    """A host with one card of CARDS under `driver`; Pascal with the build of PyTorch that has its code."""
    _, capability, pci, _, ecc = next(row for row in CARDS if row[0] == name)
    wheel = torch(version="2.8.0+cu126", cuda="12.6", architectures=CU126) if float(capability) < 7 else torch()
    facts = gpu_host(driver=driver, capability=capability, name=name, torch=wheel)
    device = facts.nvml.devices[0]
    if not ecc:
        unread = {**device.health.unread, "ecc_enabled": "nvmlDeviceGetEccMode returned 3 (NVML_ERROR_NOT_SUPPORTED)"}
        none = dict.fromkeys(("ecc_enabled", "ecc_corrected", "ecc_uncorrected_lifetime", "remapped_corrected"))
        device = replace(
            device,
            ecc_uncorrected=None,
            remap_pending=None,
            remap_failure=None,
            health=replace(device.health, unread=unread, **none),
        )
    facts = change(facts, "nvml", devices=(device,), cuda_version=DRIVERS[driver])
    facts = change(facts, "cuda", driver_version=DRIVERS[driver])
    hardware = Hardware(True, (Card("0000:01:00.0", pci, "0x030000", "nvidia"),), ("a card",))
    return replace(facts, hardware=hardware, **changes)


def several(*parts: Facts) -> Facts:
    """One machine with the cards of all `parts`."""
    cards, cuda, nvml = [], [], []
    for index, part in enumerate(parts):
        address = f"0000:{index + 1:02x}:00.0"
        cards.append(replace(part.hardware.cards[0], address=address))
        cuda.append(replace(part.cuda.devices[0], index=index))
        device = part.nvml.devices[0]
        health = replace(device.health, pci=f"0000{address}")
        nvml.append(replace(device, index=index, uuid=f"GPU-{index}1111111-0000", health=health))
    facts = replace(parts[0], hardware=Hardware(True, tuple(cards), ("cards",)))
    facts = change(facts, "cuda", devices=tuple(cuda), device_count=len(parts))
    facts = change(facts, "nvml", devices=tuple(nvml))
    wheel = facts.torch
    assert wheel is not None
    sums = (wheel.all_reduces[0], AllReduce("nccl", len(parts), 3.0, 3.0, 0.8))
    return replace(facts, torch=replace(wheel, cuda_device_count=len(parts), all_reduces=sums))


def health(facts: Facts, **changes: Any) -> Facts:
    """Every card with some readings of its condition changed."""
    own = {name: changes.pop(name) for name in tuple(changes) if name in NvmlDevice.__dataclass_fields__}
    devices = [replace(item, health=replace(item.health, **changes), **own) for item in facts.nvml.devices]
    return change(facts, "nvml", devices=tuple(devices))


def wheel(version: str, cuda: str | None, vision: Torchvision | None = None, **changes: Any) -> Facts:
    """An RTX 4090 under a new driver with this PyTorch."""
    major = int((cuda or "0").split(".")[0])
    pinned = Torchvision("0.23.0", version.split("+")[0], "/site/torchvision/_C.so", major * 1000 or -1, (0, 2))
    return card(
        "NVIDIA GeForce RTX 4090", torch=torch(version=version, cuda=cuda, torchvision=vision or pinned, **changes)
    )


def wsl(path: str = "/usr/lib/wsl/lib/libcuda.so.1", **changes: Any) -> Facts:
    """Everything comes from Windows."""
    facts = card(
        "NVIDIA GeForce RTX 4090", runtime=Runtime(), kernel_log=KernelLog(error="no card is visible"), **changes
    )
    facts = replace(facts, hardware=Hardware(True, (), ("/dev/dxg exists",)))
    facts = change(facts, "driver", module_version=None, open_module=None, uvm_loaded=False, device_nodes=(), wsl=True)
    facts = change(facts, "nvml", path="/usr/lib/wsl/lib/libnvidia-ml.so.1")
    return change(health(facts, pcie_width=4, persistence=None), "cuda", path=path)


def hgx(name: str, links: int, **changes: Any) -> Facts:
    """Eight cards joined by NVSwitch."""
    one = health(card(name), fabric_state=3, nvlinks_active=tuple(range(links)), nvlinks_inactive=())
    one = health(one, unread={}, persistence=True)
    return replace(several(*[one] * 8), fabric=FabricManager(4, "active", "580.95.05"), **changes)


def boxed(facts: Facts, *signs: str, **environment: str) -> Facts:
    """Seen from a container that somebody else than the launcher made."""
    container = Container(True, signs)
    return replace(facts, container=container, environment=environment, kernel_log=KernelLog(error="not permitted"))


def masked(facts: Facts, value: str) -> Facts:
    return replace(facts, environment={"CUDA_VISIBLE_DEVICES": value})


def mig(**changes: Any) -> Facts:
    name = "NVIDIA A100-SXM4-80GB"
    facts = health(card(name), mig=True, mig_uuids=("MIG-aaaa1111-0000-0000-0000-000000000000",), **changes)
    return change(facts, "cuda", devices=(CudaDevice(0, f"{name} MIG 3g.40gb", "8.0"),))


ADA = card("NVIDIA GeForce RTX 4090")
