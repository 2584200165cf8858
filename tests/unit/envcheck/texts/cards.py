"""What findings about the cards' condition say. Machines are invented."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import FabricManager
from tests.unit.envcheck.machines import change, gpu_host
from tests.unit.envcheck.rules.cases import cards, health, logged, without_cuda, xid
from tests.unit.envcheck.texts.form import Text

HEALTH: list[Text] = [
    ("kernel-log", logged(replace(xid(31, "MMU Fault"), count=3)), ("3 times", "100 s after boot", ": MMU Fault"), ()),
    ("kernel-log", logged(replace(xid(31), seconds=None)), ("Xid 31 on PCI 0000:01:00 (",), ("times", "boot (gr")),
    ("kernel-log", logged(xid(119)), ("system processor", "--gpu-reset"), ("catalogue explains",)),
    ("kernel-log", logged(xid(119, "Timeout")), ("0000:01:00: Timeout",), ()),
    ("kernel-log", logged(xid(154, "from 0x0 (None) to 0x2 (Node Reboot Required)")), ("Node Reboot", "reset"), ()),
    ("kernel-log", logged(xid(9999)), ("which NVIDIA's catalogue explains", "look up 9999"), ("--gpu-reset",)),
    ("kernel-log", logged(xid(79, pci="nonsense")), ("Xid 79",), ()),
    ("gpu-memory", health(ecc_uncorrected_lifetime=7, remapped_corrected=1), ("ECC on", "lifetime 7", "errors 1"), ()),
    ("gpu-memory", health(ecc_enabled=False, ecc_corrected=None), ("ECC off",), ("None", ", corrected")),
    ("gpu-memory", health(ecc_uncorrected=2), ("2 uncorrected since the driver", "GPU 0 (RTX 4090)"), ()),
    (
        "gpu-memory",
        health(
            **dict.fromkeys(("ecc_enabled", "ecc_corrected", "ecc_uncorrected_lifetime")),
            remapped_corrected=None,
            remapped_uncorrected=None,
        ),
        ("no counters",),
        (),
    ),
    ("gpu-memory", health(ecc_uncorrected=None, remap_pending=None), ("not recorded",), ()),
    (
        "gpu-memory",
        health(ecc_uncorrected=None, remap_pending=None, unread={"mig": "no", "remap_pending": "NVML has no such"}),
        ("not told by NVML: NVML has no such",),
        (),
    ),
    ("gpu-compute-mode", health(compute_mode=0), (": default",), ("error 46",)),
    ("gpu-compute-mode", health(compute_mode=1), (": exclusive thread: a second program gets error 46",), ()),
    ("gpu-compute-mode", health(compute_mode=3), (": exclusive process: a second",), ()),
    ("gpu-compute-mode", health(compute_mode=2), (": prohibited",), ("error 46",)),
    ("gpu-compute-mode", health(compute_mode=9), (": mode 9",), ()),
    ("gpu-persistence", gpu_host(), ("mode is on",), ()),
    ("gpu-persistence", health(persistence=False), ("mode is off",), ()),
    ("gpu-persistence", cards({}, {"persistence": False}), ("mode is off",), ()),
    ("gpu-fabric", health(fabric_state=3), ("fabric completed",), ("NVSwitch functions",)),
    ("gpu-fabric", cards({}, {"fabric_state": 1}), ("GPU 1 (RTX 4090): fabric not started",), ("GPU 0",)),
    ("gpu-fabric", health(fabric_state=9), ("fabric ?",), ()),
    ("gpu-fabric", gpu_host(fabric=FabricManager(4, "active", "570.124.06")), ("4 NVSwitch", "active 570.124.06"), ()),
    ("gpu-fabric", gpu_host(fabric=FabricManager(4, None, None, "no systemd")), ("manager: no systemd",), ("None",)),
    ("gpu-fabric", gpu_host(fabric=FabricManager(4)), ("not asked",), ("None",)),
    (
        "gpu-fabric",
        without_cuda(gpu_host(fabric=FabricManager(4, "failed")), 802),
        ("apt install nvidia-fabricmanager-570 ",),
        (),
    ),
    (
        "gpu-fabric",
        change(
            change(replace(cards({}, {}), fabric=FabricManager(4, "failed")), "driver", module_version=None),
            "nvml",
            driver_version=None,
        ),
        ("nvidia-fabricmanager-<branch>",),
        (),
    ),
    ("gpu-nvlink", health(nvlinks_active=(), nvlinks_inactive=(0, 1)), ("no bridge", "0 of 2 NVLinks up"), ("down: ",)),
    ("gpu-nvlink", health(nvlinks_active=(0, 3), nvlinks_inactive=(1,)), ("2 of 3", "down: 1", "are up"), ("bridge",)),
    ("gpu-nvlink", health(nvlinks_active=(0,), nvlinks_inactive=()), ("1 of 1 NVLinks up",), ("down",)),
    ("gpu-pcie", health(pcie_width=8), ("GPU 0 (RTX 4090) uses fewer", "8 of 16 lanes", "generation 1 of 4"), ()),
    *[
        ("gpu-clocks", health(clocks_event_reasons=bit), (words,), ("no slowdown",))
        for bit, words in {
            0x1: "): idle",
            0x2: "): application clocks",
            0x4: "): power limit",
            0x8: "): hardware slowdown",
            0x10: "): sync boost",
            0x20: "): software thermal",
            0x40: "): hardware thermal",
            0x80: "): hardware power brake",
            0x100: "): display clocks",
        }.items()
    ],
    ("gpu-clocks", health(clocks_event_reasons=0), ("): no slowdown",), ()),
    ("gpu-clocks", health(clocks_event_reasons=0x5), ("idle, power limit",), ()),
]
TEXTS = HEALTH
