"""Invented machines for the tests of checks and verdicts: healthy ones, to be broken one fact at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envcheck.facts import (
    AllReduce,
    Card,
    Container,
    Cuda,
    CudaDevice,
    Driver,
    Facts,
    GpuHealth,
    Hardware,
    ImageRecord,
    KernelLog,
    Memory,
    Network,
    Nvml,
    NvmlDevice,
    Request,
    Runtime,
    Torch,
    Torchvision,
)

GIB = 1 << 30
NODES = ("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl")


def torch(**changes: Any) -> Torch:
    """A CUDA 12 wheel in which everything works."""
    site = "/usr/lib/python3/dist-packages"
    healthy = Torch(
        found=True,
        python="/usr/bin/python3",
        python_version="3.11.2",
        version="2.8.0+cu128",
        cuda="12.8",
        location=f"{site}/torch",
        architectures=("sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"),
        torchvision=Torchvision("0.23.0", "2.8.0", f"{site}/torchvision/_C.so", 12080, (0, 2)),
        cudnn=91002,
        cudnn_libraries=(f"{site}/nvidia/cudnn/lib/libcudnn.so.9", f"{site}/nvidia/cudnn/lib/libcudnn_graph.so.9"),
        nccl="2.27.3",
        all_reduces=(AllReduce("gloo", 2, 3.0, 3.0, 0.05), AllReduce("nccl", 1, 1.0, 1.0, 0.4)),
        cuda_available=True,
        cuda_device_count=1,
        c_compiler="/usr/bin/gcc",
        cxx_compiler="/usr/bin/g++",
        python_header="/usr/include/python3.11/Python.h",
    )
    return replace(healthy, **changes)


NOT_SUPPORTED = "returned 3 (NVML_ERROR_NOT_SUPPORTED)"


def condition(**changes: Any) -> GpuHealth:
    """An idle card of a data center, in good health."""
    healthy = GpuHealth(
        pci="00000000:01:00.0",
        ecc_enabled=True,
        ecc_corrected=0,
        ecc_uncorrected_lifetime=0,
        remapped_corrected=0,
        remapped_uncorrected=0,
        pcie_width=16,
        pcie_width_max=16,
        pcie_generation=1,
        pcie_generation_max=4,
        clocks_event_reasons=0x1,
        persistence=True,
        fabric_state=0,
        fabric_status=0,
        unread={
            "retired_pages_pending": f"nvmlDeviceGetRetiredPagesPendingStatus {NOT_SUPPORTED}",
            "nvlinks_active": f"nvmlDeviceGetNvLinkState {NOT_SUPPORTED}",
            "nvlinks_inactive": f"nvmlDeviceGetNvLinkState {NOT_SUPPORTED}",
        },
    )
    return replace(healthy, **changes)


def gpu_host(*, driver: str = "570.124.06", capability: str = "8.9", name: str = "RTX 4090", **changes: Any) -> Facts:
    """A healthy host with one card, an engine and the toolkit."""
    device = NvmlDevice(
        index=0,
        uuid="GPU-11111111-2222-3333-4444-555555555555",
        name=name,
        memory_total=24 * GIB,
        compute_capability=capability,
        compute_mode=0,
        ecc_uncorrected=0,
        remap_pending=False,
        remap_failure=False,
        health=condition(),
    )
    healthy = Facts(
        hardware=Hardware(True, (Card("0000:01:00.0", "0x2684", "0x030000", "nvidia"),), ("a card",)),
        driver=Driver("6.1.0-18-amd64", driver, True, True, False, True, None, NODES),
        cuda=Cuda(
            True,
            None,
            f"/usr/lib/x86_64-linux-gnu/libcuda.so.{driver}",
            12080,
            0,
            0,
            1,
            (CudaDevice(0, name, capability),),
        ),
        nvml=Nvml(True, None, f"/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{driver}", 0, driver, 12080, (device,)),
        torch=torch(),
        runtime=Runtime("/usr/bin/docker", "/var/run/docker.sock", None, "/usr/bin/nvidia-ctk", None, True),
        memory=Memory(16 * GIB, 16 * GIB, lockable=-1),
        network=Network(("eth0", "lo")),
        kernel_log=KernelLog("/dev/kmsg"),
        python="3.11.2",
    )
    return replace(healthy, **changes)


def cpu_host(**changes: Any) -> Facts:
    """A healthy host without a card or a driver."""
    healthy = Facts(
        driver=Driver(kernel="6.1.0-18-amd64"),
        cuda=Cuda(error="libcuda.so.1: cannot open shared object file"),
        nvml=Nvml(error="libnvidia-ml.so.1: cannot open shared object file"),
        torch=torch(all_reduces=(AllReduce("gloo", 2, 3.0, 3.0, 0.05),), cuda_available=False, cuda_device_count=0),
        runtime=Runtime("/usr/bin/docker", "/var/run/docker.sock"),
        memory=Memory(16 * GIB, 16 * GIB),
        python="3.11.2",
    )
    return replace(healthy, **changes)


def inside(facts: Facts, device: str | None = None, **environment: str) -> Facts:
    """The same machine seen from a container that the launcher made for `device` (None: made by somebody else)."""
    image = ImageRecord("cu128", "jupyter", "2.8.0+cu128", "12.8", 91002, "2.27.3", ("7.0", "8.0", "9.0"))
    request = Request(device, reason="asked for by a test") if device is not None else None
    container = Container(True, ("/.dockerenv exists",), image if device is not None else None, request)
    return replace(facts, container=container, environment=environment)


def change(facts: Facts, part: str, **changes: Any) -> Facts:
    """`facts` with some fields of one part replaced."""
    return replace(facts, **{part: replace(getattr(facts, part), **changes)})
