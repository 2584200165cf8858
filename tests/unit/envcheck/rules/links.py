"""Rules of what slows a card down or keeps it apart from the others: fabric, PCIe, NVLink, clocks."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import Card, FabricManager, Facts, Hardware
from tests.unit.envcheck.machines import change, cpu_host, gpu_host
from tests.unit.envcheck.rules.cases import Rule, cards, health, without_cuda

WSL = change(gpu_host(), "driver", wsl=True)
NO_DEVICES = change(gpu_host(), "nvml", devices=())


def nvswitch(
    service: str | None, version: str | None = "570.124.06", error: str | None = None, count: int = 1
) -> Facts:
    """A machine with switches whose cards do not tell their fabric state."""
    return replace(cards(*[{}] * count), fabric=FabricManager(4, service, version, error))


def slot(width: int | None, address: str = "0000:01:00.0", **changes: object) -> Facts:
    """One card whose port at `address` has so many lanes."""
    card = Card(address, "0x2684", "0x030000", "nvidia", width)
    return replace(health(**changes), hardware=Hardware(True, (card,), ("a card",)))


FABRIC: list[Rule] = [
    ("no switch", "gpu-fabric", gpu_host(), "skip", None),
    ("no card", "gpu-fabric", cpu_host(fabric=FabricManager(4, "inactive")), "skip", None),
    ("joined", "gpu-fabric", health(fabric_state=3), "ok", None),
    ("in progress", "gpu-fabric", without_cuda(health(fabric_state=2), 802), "fail", "cuda-fabric-manager"),
    ("not started", "gpu-fabric", without_cuda(health(fabric_state=1), 802), "fail", "cuda-fabric-manager"),
    ("not joined, CUDA works", "gpu-fabric", cards(*[{"fabric_state": 1}] * 2), "warn", "cuda-fabric-manager"),
    ("one card alone, CUDA works", "gpu-fabric", health(fabric_state=1), "ok", None),
    (
        "one of two not joined",
        "gpu-fabric",
        without_cuda(cards({"fabric_state": 3}, {"fabric_state": 2}), 802),
        "fail",
        "cuda-fabric-manager",
    ),
    (
        "divided cards join nothing",
        "gpu-fabric",
        cards(*[{"fabric_state": 1, "mig": True, "mig_uuids": ("MIG-1",)}] * 2),
        "skip",
        None,
    ),
    ("service runs", "gpu-fabric", nvswitch("active"), "ok", None),
    ("service failed", "gpu-fabric", without_cuda(nvswitch("failed"), 802), "fail", "cuda-fabric-manager"),
    ("service down, CUDA works still", "gpu-fabric", nvswitch("inactive", count=2), "warn", "cuda-fabric-manager"),
    ("not installed", "gpu-fabric", without_cuda(nvswitch("unknown", None), 802), "fail", "cuda-fabric-manager"),
    ("service not told", "gpu-fabric", nvswitch(None, None, "no systemd here"), "ok", None),
    (
        "service down, but every card has joined",
        "gpu-fabric",
        replace(health(fabric_state=3), fabric=FabricManager(4, "inactive", "570.124.06")),
        "ok",
        None,
    ),
    (
        "another version",
        "gpu-fabric",
        without_cuda(nvswitch("failed", "550.54.15"), 802),
        "fail",
        "cuda-fabric-manager",
    ),
    ("another version, one card", "gpu-fabric", nvswitch("active", "550.54.15"), "ok", None),
    (
        "another version, two cards",
        "gpu-fabric",
        nvswitch("active", "550.54.15", count=2),
        "warn",
        "cuda-fabric-manager",
    ),
]
LINKS: list[Rule] = [
    ("all lanes", "gpu-pcie", gpu_host(), "ok", None),
    ("half of them", "gpu-pcie", health(pcie_width=8), "warn", None),
    ("half of them, as many as the slot has", "gpu-pcie", slot(8, pcie_width=8), "ok", None),
    ("half of what the slot has", "gpu-pcie", slot(8, pcie_width=4), "warn", None),
    ("half of them in a wider slot", "gpu-pcie", slot(16, pcie_width=8), "warn", None),
    ("half of them, the slot tells nothing", "gpu-pcie", slot(None, pcie_width=8), "warn", None),
    ("another card's slot has eight", "gpu-pcie", slot(8, "0000:65:00.0", pcie_width=8), "warn", None),
    ("the place is not told", "gpu-pcie", slot(8, "", pcie_width=8, pci=None), "warn", None),
    ("a slot of eight", "gpu-pcie", health(pcie_width=8, pcie_width_max=8), "ok", None),
    ("a low generation while idle", "gpu-pcie", health(pcie_generation=1), "ok", None),
    ("a width of nothing, as in a virtual machine", "gpu-pcie", health(pcie_width=0), "skip", None),
    ("the second card", "gpu-pcie", cards({}, {"pcie_width": 4}), "warn", None),
    ("not told", "gpu-pcie", health(pcie_width=None), "skip", None),
    ("no maximum told", "gpu-pcie", health(pcie_width_max=None), "skip", None),
    ("WSL", "gpu-pcie", WSL, "skip", None),
    ("no device", "gpu-pcie", NO_DEVICES, "skip", None),
    ("none", "gpu-nvlink", gpu_host(), "skip", None),
    ("no device", "gpu-nvlink", NO_DEVICES, "skip", None),
    ("no links at all", "gpu-nvlink", health(nvlinks_active=(), nvlinks_inactive=()), "skip", None),
    ("all up", "gpu-nvlink", health(nvlinks_active=(0, 1), nvlinks_inactive=()), "ok", None),
    ("no bridge", "gpu-nvlink", health(nvlinks_active=(), nvlinks_inactive=(0, 1)), "ok", None),
    ("one bridge of three", "gpu-nvlink", health(nvlinks_active=(0, 1), nvlinks_inactive=(2, 3)), "ok", None),
    (
        "fewer than its twin",
        "gpu-nvlink",
        cards({"nvlinks_active": (0, 1), "nvlinks_inactive": ()}, {"nvlinks_active": (0,), "nvlinks_inactive": (1,)}),
        "warn",
        "nccl-peer-to-peer",
    ),
    (
        "as many as its twin",
        "gpu-nvlink",
        cards({"nvlinks_active": (0,), "nvlinks_inactive": (1,)}, {"nvlinks_active": (1,), "nvlinks_inactive": (0,)}),
        "ok",
        None,
    ),
    (
        "a third card without a bridge",
        "gpu-nvlink",
        cards(
            *[{"nvlinks_active": (0,), "nvlinks_inactive": ()}] * 2, {"nvlinks_active": (), "nvlinks_inactive": (0,)}
        ),
        "ok",
        None,
    ),
    (
        "fewer than another model",
        "gpu-nvlink",
        cards(
            {"nvlinks_active": (0, 1), "nvlinks_inactive": ()},
            {"nvlinks_active": (0,), "nvlinks_inactive": (1,), "name": "another"},
        ),
        "ok",
        None,
    ),
    (
        "down on an NVSwitch machine",
        "gpu-nvlink",
        cards(*[{"nvlinks_active": (), "nvlinks_inactive": (0,), "fabric_state": 3}] * 2),
        "warn",
        "nccl-peer-to-peer",
    ),
    (
        "a part is turned off on every card of an NVSwitch machine",
        "gpu-nvlink",
        cards(*[{"nvlinks_active": (0,), "nvlinks_inactive": (1,), "fabric_state": 3}] * 2),
        "ok",
        None,
    ),
    (
        "one card of an NVSwitch machine",
        "gpu-nvlink",
        health(nvlinks_active=(), nvlinks_inactive=(0,), fabric_state=3),
        "ok",
        None,
    ),
    (
        "divided by MIG",
        "gpu-nvlink",
        cards(*[{"nvlinks_active": (), "nvlinks_inactive": (0,), "fabric_state": 3, "mig": True}] * 2),
        "skip",
        None,
    ),
]
CLOCKS: list[Rule] = [
    ("idle", "gpu-clocks", gpu_host(), "ok", None),
    ("power limit", "gpu-clocks", health(clocks_event_reasons=0x4), "ok", None),
    ("heat, by the hardware", "gpu-clocks", health(clocks_event_reasons=0x41), "warn", None),
    ("power brake", "gpu-clocks", health(clocks_event_reasons=0x80), "warn", None),
    ("slowdown while idle", "gpu-clocks", health(clocks_event_reasons=0x9), "ok", None),
    ("heat, by software, while idle", "gpu-clocks", health(clocks_event_reasons=0x20), "ok", None),
    ("a reason of the future", "gpu-clocks", health(clocks_event_reasons=0x1000), "ok", None),
    ("the second card", "gpu-clocks", cards({}, {"clocks_event_reasons": 0x40}), "warn", None),
    ("not told", "gpu-clocks", health(clocks_event_reasons=None), "skip", None),
    ("no device", "gpu-clocks", NO_DEVICES, "skip", None),
]
RULES = [*FABRIC, *LINKS, *CLOCKS]
