"""Rules of CUDA by the number cuInit returns, and of NVML by its code."""

from __future__ import annotations

from envcheck.facts import Crash, Cuda
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside
from tests.unit.envcheck.rules.cases import NO_NVML, Rule, cuda, nvml, with_torch

RULES: list[Rule] = [
    ("works", "cuda-init", gpu_host(), "ok", None),
    ("3", "cuda-init", cuda(3), "fail", "cuda-unknown-init"),
    ("34", "cuda-init", cuda(34), "fail", "cuda-stub-library"),
    ("35", "cuda-init", cuda(35), "fail", "driver-too-old"),
    ("46", "cuda-init", cuda(46), "fail", "cuda-device-busy"),
    ("100", "cuda-init", cuda(100), "fail", "cuda-devices-masked"),
    ("101", "cuda-init", cuda(101), "fail", "cuda-devices-masked"),
    ("no error, no device", "cuda-init", change(gpu_host(), "cuda", device_count=0), "fail", "cuda-devices-masked"),
    (
        "100 without a module",
        "cuda-init",
        nvml(9, change(cuda(100), "driver", module_version=None)),
        "fail",
        "driver-not-loaded",
    ),
    (
        "100 in a container for the CPU",
        "cuda-init",
        inside(change(cuda(100), "driver", device_nodes=()), "cpu"),
        "skip",
        None,
    ),
    ("214", "cuda-init", cuda(214), "fail", "gpu-memory-ecc"),
    ("802", "cuda-init", cuda(802), "fail", "cuda-fabric-manager"),
    ("803", "cuda-init", cuda(803), "fail", "cuda-compat-mismatch"),
    ("804", "cuda-init", cuda(804), "fail", "cuda-forward-compat-unsupported"),
    ("805", "cuda-init", cuda(805), "fail", "cuda-device-busy"),
    ("999", "cuda-init", cuda(999), "fail", "cuda-unknown-init"),
    ("999 and NVML 999 in a container", "cuda-init", inside(nvml(999, cuda(999)), "gpu"), "fail", "container-lost-gpu"),
    ("a number nobody knows", "cuda-init", cuda(4711), "fail", "cuda-unknown-init"),
    ("hangs", "cuda-init", gpu_host(cuda=Cuda(True, crash=Crash("init", timed_out=True))), "fail", "cuda-unknown-init"),
    ("no card", "cuda-init", cpu_host(), "skip", None),
    ("same libcuda", "library-origin", with_torch(libcuda=gpu_host().cuda.path), "ok", None),
    (
        "libcuda of the working directory",
        "library-origin",
        with_torch(libcuda="/w/libcuda.so.1"),
        "fail",
        "library-shadowed",
    ),
    ("lists", "nvml", gpu_host(), "ok", None),
    ("9", "nvml", nvml(9), "fail", "driver-not-loaded"),
    ("15", "nvml", nvml(15), "fail", "gpu-fallen-off-bus"),
    ("17", "nvml", nvml(17), "fail", "wsl-driver-libs-missing"),
    ("18 is driver-library's", "nvml", nvml(18), "skip", None),
    ("999 on a host", "nvml", nvml(999), "fail", "cuda-unknown-init"),
    ("999 in a container", "nvml", inside(nvml(999), "gpu"), "fail", "container-lost-gpu"),
    ("broken, but CUDA works", "nvml", nvml(999, gpu_host()), "warn", "cuda-unknown-init"),
    ("missing, but CUDA works", "nvml", gpu_host(nvml=NO_NVML), "warn", "driver-missing"),
    ("one GPU lost", "nvml", change(gpu_host(), "nvml", device_codes=(15,)), "fail", "gpu-fallen-off-bus"),
    ("no card", "nvml", cpu_host(), "skip", None),
]
