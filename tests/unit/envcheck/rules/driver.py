"""Rules of the card, its kernel module, the driver's libraries and its version."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import Crash, Cuda, Facts, Hardware, Nvml
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside, torch
from tests.unit.envcheck.rules.cases import (
    LOST,
    Rule,
    bare_container,
    cuda,
    given_away,
    nouveau,
    nvml,
    told,
    unloaded,
    with_torch,
)

LINUX = "/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15"


def wsl(path: str, code: int = 100) -> Facts:
    """WSL with a libcuda at `path` that returns `code`."""
    return change(cuda(code, path=path), "driver", wsl=True, module_version=None)


def blackwell(driver: str) -> Facts:
    """A new card without a PyTorch to look at."""
    return gpu_host(driver=driver, capability="12.0", torch=None)


RULES: list[Rule] = [
    ("card", "nvidia-hardware", gpu_host(), "ok", None),
    ("no card", "nvidia-hardware", cpu_host(), "skip", None),
    ("card given to a virtual machine", "nvidia-hardware", given_away(), "skip", None),
    ("loaded", "driver-module", gpu_host(), "ok", None),
    ("no card", "driver-module", cpu_host(), "skip", None),
    ("no driver", "driver-module", unloaded(), "fail", "driver-missing"),
    ("installed, not loaded", "driver-module", unloaded(module_installed=True), "fail", "driver-not-loaded"),
    (
        "libraries, no module",
        "driver-module",
        replace(unloaded(), nvml=Nvml(True, init_code=9)),
        "fail",
        "driver-not-loaded",
    ),
    (
        "refused by Secure Boot",
        "driver-module",
        told(unloaded(module_installed=True), "Loading of module with unavailable key is rejected"),
        "fail",
        "driver-secure-boot",
    ),
    (
        "Secure Boot is on, but nothing was refused",
        "driver-module",
        unloaded(module_installed=True, secure_boot=True),
        "fail",
        "driver-not-loaded",
    ),
    ("nouveau", "driver-module", nouveau(), "fail", "driver-nouveau"),
    ("given away", "driver-module", given_away(), "skip", None),
    ("WSL", "driver-module", unloaded(wsl=True), "skip", None),
    (
        "hidden, but cuInit reached it",
        "driver-module",
        replace(unloaded(), cuda=Cuda(True, init_code=803)),
        "skip",
        None,
    ),
    (
        "cuInit reached nothing",
        "driver-module",
        replace(unloaded(), cuda=Cuda(True, init_code=100)),
        "fail",
        "driver-not-loaded",
    ),
    ("fit", "driver-library", gpu_host(), "ok", None),
    ("NVML 18", "driver-library", nvml(18), "fail", "driver-library-mismatch"),
    ("libcuda missing on a host", "driver-library", gpu_host(cuda=LOST), "fail", "driver-missing"),
    ("libcuda missing under WSL", "driver-library", replace(unloaded(wsl=True)), "fail", "wsl-driver-libs-missing"),
    ("a Linux driver inside WSL", "driver-library", wsl(LINUX), "fail", "wsl-driver-libs-missing"),
    ("a Linux driver inside WSL that works", "driver-library", wsl(LINUX, 0), "ok", None),
    ("the driver of Windows", "driver-library", wsl("/usr/lib/wsl/lib/libcuda.so.1"), "ok", None),
    ("a container under WSL", "driver-library", inside(wsl(LINUX), "gpu"), "ok", None),
    ("no driver at all", "driver-library", unloaded(), "skip", None),
    (
        "nodes without libraries",
        "driver-library",
        inside(gpu_host(cuda=LOST), "gpu"),
        "fail",
        "container-driver-libs-missing",
    ),
    (
        "utility only",
        "driver-library",
        inside(gpu_host(cuda=LOST), "gpu", NVIDIA_DRIVER_CAPABILITIES="utility"),
        "fail",
        "container-capabilities-missing",
    ),
    ("container without anything", "driver-library", bare_container(), "skip", None),
    ("525.60.12", "driver-floor", gpu_host(driver="525.60.12"), "fail", "driver-too-old"),
    ("525.60.13", "driver-floor", gpu_host(driver="525.60.13"), "ok", None),
    ("570.25 on Blackwell", "driver-floor", gpu_host(driver="570.25", capability="12.0"), "fail", "driver-too-old"),
    ("570.26 on Blackwell", "driver-floor", gpu_host(driver="570.26", capability="12.0"), "ok", None),
    ("570.25 on Ada", "driver-floor", gpu_host(driver="570.25"), "ok", None),
    ("a future driver", "driver-floor", gpu_host(driver="999.10"), "ok", None),
    ("a future CUDA", "driver-floor", gpu_host(torch=torch(cuda="14.0")), "ok", None),
    ("CUDA 11 wheel", "driver-floor", gpu_host(driver="470.82.01", torch=torch(cuda="11.8", cudnn=90100)), "ok", None),
    ("no wheel, old driver", "driver-floor", gpu_host(driver="470.82.01", torch=None), "fail", "driver-too-old"),
    (
        "compat library on an old driver",
        "driver-floor",
        change(gpu_host(driver="470.82.01"), "cuda", path="/usr/local/cuda-12.8/compat/libcuda.so.570.26"),
        "ok",
        None,
    ),
    ("WSL by CUDA version", "driver-floor", change(gpu_host(), "driver", wsl=True, module_version=None), "ok", None),
    (
        "WSL with an old Windows driver",
        "driver-floor",
        change(change(gpu_host(), "driver", wsl=True, module_version=None), "cuda", driver_version=11080),
        "fail",
        "driver-too-old",
    ),
    ("CPU wheel", "driver-floor", with_torch(cuda=None), "skip", None),
    *[
        (
            f"hidden, but cuInit returned {code}",
            "driver-module",
            replace(unloaded(), cuda=Cuda(True, init_code=code)),
            *ends,
        )
        for code, ends in {
            **dict.fromkeys((0, 46, 214, 802, 803, 804), ("skip", None)),
            **dict.fromkeys((1, 3, 47, 101, 215, 999), ("fail", "driver-not-loaded")),
        }.items()
    ],
    (
        "NVML answers, the module is hidden",
        "driver-module",
        change(gpu_host(), "driver", module_version=None),
        "ok",
        None,
    ),
    (
        "one of two cards under nouveau",
        "driver-module",
        replace(nouveau(), hardware=Hardware(True, (*nouveau().hardware.cards, *unloaded().hardware.cards))),
        "fail",
        "driver-nouveau",
    ),
    (
        "the only card is given away, libraries are there",
        "driver-module",
        replace(unloaded(), hardware=Hardware(True, given_away().hardware.cards)),
        "skip",
        None,
    ),
    ("loading crashed", "driver-library", gpu_host(cuda=Cuda(crash=Crash("load", "SIGSEGV"))), "skip", None),
    ("libcuda missing, NVML there", "driver-library", replace(unloaded(), nvml=Nvml(True)), "fail", "driver-missing"),
    (
        "libcuda missing, the module loaded",
        "driver-library",
        gpu_host(cuda=LOST, nvml=Nvml()),
        "fail",
        "driver-missing",
    ),
    ("the driver is not known", "driver-floor", unloaded(), "skip", None),
    ("cuDNN of the image", "driver-floor", inside(blackwell("570.25"), "gpu"), "fail", "driver-too-old"),
    ("cuDNN of the image, new enough", "driver-floor", inside(blackwell("570.26"), "gpu"), "ok", None),
    ("no cuDNN to ask", "driver-floor", blackwell("570.25"), "ok", None),
]
