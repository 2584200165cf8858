"""Every check, by layer: the first one that fails names the root cause, what follows may be its consequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from envcheck.checks.architectures import torch_architectures, torch_extensions
from envcheck.checks.container import container_capabilities, container_gpu, container_runtime, ptx_compiler
from envcheck.checks.cuda import cuda_init, library_origin
from envcheck.checks.cudnn import cudnn_loads
from envcheck.checks.driver import driver_library, driver_module, nvidia_hardware
from envcheck.checks.floor import driver_is_new_enough, image_requirement
from envcheck.checks.gpu_clocks import gpu_clocks
from envcheck.checks.gpu_fabric import gpu_fabric
from envcheck.checks.gpu_links import nvlink, pcie
from envcheck.checks.gpu_memory import gpu_memory
from envcheck.checks.gpu_modes import compute_mode, mig, persistence
from envcheck.checks.kernel_log import kernel_log
from envcheck.checks.memory import locked_memory, shared_memory
from envcheck.checks.nccl import all_reduce, nccl_version
from envcheck.checks.network import nccl_interface
from envcheck.checks.nvml import nvml
from envcheck.checks.stack import stack_shadowed
from envcheck.checks.torch import torch_build, torch_compile, torch_cuda
from envcheck.checks.torchvision import torchvision_nms, torchvision_pair
from envcheck.facts import Facts
from envcheck.finding import Finding

TOPICS = ("driver", "cuda", "torch", "cudnn", "nccl", "container", "memory", "health")
# These topics are judged by what the torch child reports.
TORCH_TOPICS = frozenset({"torch", "cudnn", "nccl"})


@dataclass(frozen=True, slots=True)
class Check:
    """`told`: its summary stands in the topic's line also where all is well.

    `on_gpu_path`: its failure may be a lower layer's, or explain a higher layer's.

    `own_fault`: what it finds is a fault of its own even so, never the consequence of a lower layer's.
    """

    id: str
    topic: str
    judge: Callable[[Facts], Finding]
    on_gpu_path: bool = True
    own_fault: bool = False
    told: bool = False


CHECKS = (
    Check("nvidia-hardware", "driver", nvidia_hardware),
    Check("driver-module", "driver", driver_module, told=True),
    Check("container-gpu", "container", container_gpu, told=True),
    Check("driver-library", "driver", driver_library),
    Check("container-capabilities", "container", container_capabilities),
    Check("driver-floor", "driver", driver_is_new_enough),
    Check("image-requirement", "container", image_requirement, own_fault=True),
    Check("cuda-init", "cuda", cuda_init, told=True),
    Check("nvml", "driver", nvml, told=True),
    Check("kernel-log", "health", kernel_log, own_fault=True, told=True),
    Check("gpu-memory", "health", gpu_memory, own_fault=True, told=True),
    Check("gpu-compute-mode", "health", compute_mode, own_fault=True),
    Check("gpu-mig", "health", mig, own_fault=True),
    Check("gpu-fabric", "health", gpu_fabric, own_fault=True),
    Check("ptx-compiler", "cuda", ptx_compiler, own_fault=True),
    Check("gpu-nvlink", "health", nvlink, on_gpu_path=False),
    Check("gpu-pcie", "health", pcie, on_gpu_path=False),
    Check("gpu-clocks", "health", gpu_clocks, on_gpu_path=False),
    Check("gpu-persistence", "health", persistence, on_gpu_path=False),
    Check("stack-shadowed", "torch", stack_shadowed, on_gpu_path=False),
    Check("torch-build", "torch", torch_build, on_gpu_path=False, told=True),
    Check("library-origin", "cuda", library_origin),
    Check("torch-architectures", "torch", torch_architectures),
    Check("torch-extensions", "torch", torch_extensions, on_gpu_path=False),
    Check("torch-cuda", "torch", torch_cuda, told=True),
    Check("torchvision-pair", "torch", torchvision_pair, on_gpu_path=False, told=True),
    Check("torchvision-nms", "torch", torchvision_nms, on_gpu_path=False),
    Check("cudnn", "cudnn", cudnn_loads, on_gpu_path=False, told=True),
    Check("nccl-version", "nccl", nccl_version, on_gpu_path=False, told=True),
    Check("nccl-interface", "nccl", nccl_interface, on_gpu_path=False),
    Check("all-reduce", "nccl", all_reduce, told=True),
    Check("torch-compile", "torch", torch_compile, on_gpu_path=False),
    Check("shared-memory", "memory", shared_memory, on_gpu_path=False, told=True),
    Check("locked-memory", "memory", locked_memory, on_gpu_path=False),
    Check("container-runtime", "container", container_runtime, on_gpu_path=False, told=True),
)
BY_ID = {check.id: check for check in CHECKS}
