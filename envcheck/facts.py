"""What was seen on the machine, before anybody judges it. Frozen, JSON in and out (see codec.py).

A probe that could not look stores its reason in an `error` field; an absent value is None, never a guess.
Sizes are bytes, times seconds, versions the text the source printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from envcheck.facts_container import Container, ImageRecord, Request, Runtime
from envcheck.facts_health import FabricManager, GpuHealth, KernelLog, Xid
from envcheck.facts_limits import Memory, Network
from envcheck.facts_packages import ShadowingPackage
from envcheck.facts_usage import GpuUsage

__all__ = [
    "AllReduce", "Card", "Container", "Crash", "Cuda", "CudaDevice", "Driver", "Extension", "FabricManager", "Facts",
    "GpuHealth", "GpuUsage", "Hardware", "ImageRecord", "KernelLog", "Memory", "Network", "Nvml", "NvmlDevice",
    "Request", "Runtime", "ShadowingPackage", "Torch", "Torchvision", "Xid",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Card:
    """One PCI function of vendor 0x10de and class 03xx. `driver` is the kernel driver bound to it.

    `slot_width` is how many lanes the port that it is plugged into has.
    """

    address: str
    device: str
    pci_class: str
    driver: str | None
    slot_width: int | None = None


@dataclass(frozen=True, slots=True)
class Hardware:
    """`present` is the GPU rule: a usable-looking card, device node, or loadable driver library was seen."""

    present: bool = False
    cards: tuple[Card, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Driver:
    """The kernel side. `module_version` is /sys/module/nvidia/version, None while no module is loaded."""

    kernel: str | None = None
    module_version: str | None = None
    open_module: bool | None = None
    module_installed: bool = False
    nouveau_loaded: bool = False
    uvm_loaded: bool = False
    secure_boot: bool | None = None
    device_nodes: tuple[str, ...] = ()
    wsl: bool = False


@dataclass(frozen=True, slots=True)
class Crash:
    """A child process that ended badly: in which stage, by which signal, or by running out of time."""

    stage: str
    signal: str | None = None
    timed_out: bool = False
    returncode: int | None = None
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """One device as the CUDA driver API sees it; `capability` as "8.9"."""

    index: int
    name: str
    capability: str | None = None


@dataclass(frozen=True, slots=True)
class Cuda:
    """libcuda in a child process. `init_code` is the number cuInit returned, `path` comes from /proc/self/maps.

    `ptx_compiler_error` is why libnvidia-ptxjitcompiler.so.1, which compiles PTX at run time, does not load.
    """

    loaded: bool = False
    error: str | None = None
    path: str | None = None
    driver_version: int | None = None
    init_code: int | None = None
    count_code: int | None = None
    device_count: int | None = None
    devices: tuple[CudaDevice, ...] = ()
    ptx_compiler_error: str | None = None
    crash: Crash | None = None


@dataclass(frozen=True, slots=True)
class NvmlDevice:
    """One GPU as NVML sees it; `mig` is None where the card cannot, `mig_uuids` its instances."""

    index: int
    uuid: str
    name: str
    memory_total: int | None = None
    compute_capability: str | None = None
    mig: bool | None = None
    mig_uuids: tuple[str, ...] = ()
    brand: int | None = None
    compute_mode: int | None = None
    ecc_uncorrected: int | None = None
    remap_pending: bool | None = None
    remap_failure: bool | None = None
    health: GpuHealth = field(default_factory=GpuHealth)
    usage: GpuUsage | None = None


@dataclass(frozen=True, slots=True)
class Nvml:
    """libnvidia-ml in a child process. `init_code` is nvmlReturn_t, `error` why there is no device list."""

    loaded: bool = False
    error: str | None = None
    path: str | None = None
    init_code: int | None = None
    driver_version: str | None = None
    cuda_version: int | None = None
    devices: tuple[NvmlDevice, ...] = ()
    device_codes: tuple[int, ...] = ()
    crash: Crash | None = None


@dataclass(frozen=True, slots=True)
class Torchvision:
    """`nms` is the list of kept boxes the operator really returned on CPU tensors."""

    version: str | None = None
    requires_torch: str | None = None
    extension: str | None = None
    cuda_version: int | None = None
    nms: tuple[int, ...] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Extension:
    """A library with CUDA code among torch's packages. `package` is the directory or file at their top level.

    `machine_code` is "sm_90", "sm_90a" ...; `ptx` "compute_90" ...; read from its fat binaries, not from its metadata.
    """

    package: str
    path: str
    machine_code: tuple[str, ...] = ()
    ptx: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AllReduce:
    """A collective that really ran: every rank added its number, `result` is what rank 0 read back."""

    backend: str
    ranks: int
    result: float | None = None
    expected: float | None = None
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Torch:
    """PyTorch in a child process of `python`. `searched` says where it was looked for when `found` is False.

    `extensions_left_out` is how many libraries, at least, were not read within the time limit. `hip` is the ROCm
    version of a build for AMD GPUs.
    """

    found: bool = False
    searched: tuple[str, ...] = ()
    python: str | None = None
    python_version: str | None = None
    version: str | None = None
    cuda: str | None = None
    hip: str | None = None
    location: str | None = None
    architectures: tuple[str, ...] = ()
    extensions: tuple[Extension, ...] = ()
    extensions_left_out: int = 0
    error: str | None = None
    torchvision: Torchvision | None = None
    cudnn: int | None = None
    cudnn_error: str | None = None
    cudnn_libraries: tuple[str, ...] = ()
    nccl: str | None = None
    nccl_error: str | None = None
    all_reduces: tuple[AllReduce, ...] = ()
    cuda_available: bool | None = None
    cuda_device_count: int | None = None
    cuda_warning: str | None = None
    libcuda: str | None = None
    c_compiler: str | None = None
    cxx_compiler: str | None = None
    python_header: str | None = None
    crashes: tuple[Crash, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything one run saw. `environment` holds only the judged variables, `distribution` is os-release's ID.

    `shadowing` are CUDA libraries in directories of LD_LIBRARY_PATH, `shadowing_packages` Python packages before the
    image's own.
    """

    hardware: Hardware = Hardware()
    driver: Driver = Driver()
    cuda: Cuda = Cuda()
    nvml: Nvml = Nvml()
    torch: Torch | None = None
    container: Container = field(default_factory=Container)
    runtime: Runtime = field(default_factory=Runtime)
    memory: Memory = field(default_factory=Memory)
    network: Network = field(default_factory=Network)
    kernel_log: KernelLog = field(default_factory=KernelLog)
    fabric: FabricManager = field(default_factory=FabricManager)
    environment: dict[str, str] = field(default_factory=dict)
    shadowing: tuple[str, ...] = ()
    shadowing_packages: tuple[ShadowingPackage, ...] = ()
    python: str | None = None
    distribution: str | None = None
    origin: str = "probed"
