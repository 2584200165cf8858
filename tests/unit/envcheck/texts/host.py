"""What findings about driver, CUDA and containers say. Machines are invented."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import Card, Crash, Cuda, Hardware, Nvml
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside
from tests.unit.envcheck.rules.cases import LOST, bare_container, cards, cuda, nvml, runtime, told, unloaded, with_torch
from tests.unit.envcheck.texts.form import Text

REJECTED = "Loading of module with unavailable key is rejected"
MISMATCH = "NVRM: API mismatch: the client has the version 570.1, but this kernel module has the version 550.1"
TWO_CARDS = Hardware(True, tuple(Card(f"0000:0{n}:00.0", "0x2684", "0x030000", "nvidia") for n in (1, 2)))
ONE_GIVEN_AWAY = replace(TWO_CARDS, cards=(TWO_CARDS.cards[0], replace(TWO_CARDS.cards[1], driver="vfio-pci")))
NO_NODES = inside(change(gpu_host(cuda=LOST), "driver", device_nodes=()), "gpu")
UVM_MISSING = change(cuda(999), "driver", uvm_loaded=False, device_nodes=("/dev/nvidia0",))
NODE_ONLY = change(cuda(999), "driver", uvm_loaded=False)
NEVER_NAMED = change(cuda(803, path=None), "driver", module_version=None)
HANGS = gpu_host(cuda=Cuda(True, crash=Crash("init", timed_out=True, stderr="a\nb")))
EXITS = gpu_host(cuda=Cuda(True, crash=Crash("init", returncode=3)))
SIGNALLED = gpu_host(cuda=Cuda(True, crash=Crash("init", "SIGSEGV", returncode=-11)))

DRIVER: list[Text] = [
    ("nvidia-hardware", gpu_host(), ("1 NVIDIA card on the PCI bus",), ("cards",)),
    ("nvidia-hardware", gpu_host(hardware=TWO_CARDS), ("2 NVIDIA cards on",), ()),
    ("nvidia-hardware", gpu_host(hardware=ONE_GIVEN_AWAY), ("1 NVIDIA card on",), ()),
    ("nvidia-hardware", gpu_host(hardware=Hardware(True)), ("a GPU driver is visible",), ("0",)),
    ("nvidia-hardware", inside(cpu_host(), "gpu"), ("visible in this container",), ()),
    ("nvidia-hardware", cpu_host(), ("no NVIDIA card was found",), ("container",)),
    ("driver-module", gpu_host(), ("570.124.06, open kernel module", "6.1.0-18-amd64"), ()),
    ("driver-module", change(gpu_host(), "driver", open_module=False), ("closed kernel module",), ()),
    ("driver-module", change(gpu_host(), "driver", open_module=None), ("driver 570.124.06",), ("kernel module",)),
    ("driver-module", change(gpu_host(), "driver", module_version=None), ("(from NVML)",), ()),
    ("driver-module", unloaded(), ("kernel driver none",), ()),
    ("driver-module", unloaded(module_installed=True), ("nvidia.ko is installed",), ("Secure Boot", "no nvidia.ko")),
    ("driver-module", unloaded(module_installed=True, secure_boot=True), ("Secure Boot is on",), ()),
    ("driver-module", replace(unloaded(), nvml=Nvml(True, init_code=9)), ("no nvidia.ko was found",), ()),
    ("driver-module", told(unloaded(module_installed=True), "NVRM: x", REJECTED), (REJECTED,), ()),
    ("driver-library", nvml(18), ("module: 570.124.06",), ("API mismatch",)),
    ("driver-library", change(nvml(18), "driver", module_version=None), ("module: unknown",), ()),
    ("driver-library", told(nvml(18), MISMATCH, "NVRM: RmInitAdapter failed!"), (MISMATCH,), ("RmInitAdapter",)),
    ("driver-library", change(gpu_host(cuda=LOST), "cuda", error=None), ("libcuda.so.1 does not load",), ()),
    ("driver-library", inside(gpu_host(cuda=LOST), "gpu"), ("/dev/nvidia0",), ()),
    ("driver-library", replace(NO_NODES, nvml=Nvml(True)), ("device nodes: none",), ()),
    ("driver-library", gpu_host(cuda=Cuda(crash=Crash("load", "SIGSEGV"))), ("see cuda-init",), ()),
    ("driver-library", change(gpu_host(), "cuda", path=None), ("libcuda.so.1 loads",), ("None",)),
    ("driver-floor", change(gpu_host(torch=None), "nvml", cuda_version=None), ("is assumed",), ()),
    ("nvml", gpu_host(), ("24 GiB", "1 GPU"), ("GPUs",)),
    ("nvml", cards({}, {"memory_total": None}), ("2 GPUs", "memory unknown"), ()),
    ("nvml", nvml(4), ("NVML error 4: no permission", "/dev/nvidia0"), ()),
    ("nvml", change(nvml(4), "driver", device_nodes=()), ("nvmlInit returned 4",), ("device nodes",)),
]
CUDA: list[Text] = [
    ("cuda-init", cuda(803), ("libcuda: /usr/lib", "loaded kernel module: 570"), ()),
    ("cuda-init", NEVER_NAMED, ("cuInit returned 803",), ("libcuda: ", "kernel module: ")),
    ("cuda-init", told(cuda(803), MISMATCH), (MISMATCH,), ()),
    ("cuda-init", UVM_MISSING, ("/dev/nvidia-uvm missing",), ()),
    ("cuda-init", NODE_ONLY, ("CUDA error 999",), ("nvidia-uvm missing",)),
    ("cuda-init", cuda(999), ("CUDA error 999",), ("nvidia-uvm missing",)),
    ("cuda-init", change(UVM_MISSING, "cuda", init_code=3), ("CUDA error 3",), ("nvidia-uvm missing",)),
    ("cuda-init", cuda(100), ("CUDA sees no GPU",), ("asked for",)),
    ("cuda-init", cuda(101), ("a GPU that is not there",), ("sees no GPU",)),
    ("cuda-init", change(gpu_host(), "cuda", device_count=0), ("CUDA sees no GPU", "returned 100"), ()),
    ("cuda-init", cuda(4711), ("a number this table does not know",), ()),
    ("cuda-init", HANGS, ("did not answer in time",), ()),
    ("cuda-init", EXITS, ("ended with 3",), ()),
    ("cuda-init", SIGNALLED, ("ended with SIGSEGV",), ("-11", "in time")),
    ("library-origin", replace(with_torch(libcuda="/w/libcuda.so.1"), cuda=LOST), ("program: none",), ()),
    ("library-origin", with_torch(libcuda="/w/libcuda.so.1"), ("libcuda.so.570",), ("program: none",)),
]
CONTAINER: list[Text] = [
    ("container-gpu", bare_container(None, NVIDIA_VISIBLE_DEVICES="void"), ("=void", "cannot open"), ()),
    ("container-gpu", bare_container(), ("no /dev/nvidia*",), ("NVIDIA_VISIBLE_DEVICES",)),
    ("container-gpu", bare_container(NVIDIA_VISIBLE_DEVICES="all"), ("the engine gave it none",), ()),
    ("container-runtime", runtime(nvidia_runtime=False), ("in daemon.json",), ()),
    ("container-runtime", runtime(nvidia_runtime=False, daemon_json="/etc/d.json"), ("in /etc/d.json",), ()),
    ("container-capabilities", cpu_host(), ("no GPU is expected",), ()),
    ("image-requirement", inside(gpu_host(), "gpu"), ("this image requires no driver",), ()),
    ("image-requirement", inside(gpu_host(), "gpu", NVIDIA_DISABLE_REQUIRE="1"), ("switched off by NVIDIA_DIS",), ()),
    ("image-requirement", inside(gpu_host(), "gpu", NVIDIA_REQUIRE_CUDA="cuda>=99"), ("cuda>=99", "CUDA 12.8"), ()),
]
TEXTS = [*DRIVER, *CUDA, *CONTAINER]
