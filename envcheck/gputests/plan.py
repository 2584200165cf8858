"""Which programs prove which GPUs, with the deadline of every stage."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from envcheck.gputests.judge import Gpu
from envcheck.gputests.levels import LEVELS
from envcheck.gputests.runner import Program
from envcheck.probes.child import BARE, HOSTED, PACKAGE_PARENT

PROGRAMS = "envcheck.gputests.programs"
# A cold disk takes minutes to give PyTorch's libraries, and the first use of eight cards without persistence mode long.
KERNEL_SECONDS = {"": 60.0}
SECONDS = {"": 180.0, "compile": 300.0, "copy": 60.0, "peer": 30.0, "all-reduce": 150.0}
NUMBER_SECONDS = ("device", "matmul", "matmul-tf32", "matmul-bf16", "convolution", "nms", "memory", "load")
SECONDS |= dict.fromkeys(NUMBER_SECONDS, 90.0)
# They change what fp32 means in a whole process (cuBLAS and cuDNN, PyTorch). Here the card is proven, not the
# setting. https://docs.pytorch.org/docs/stable/cuda_environment_variables.html
OVERRIDES = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")


def kernel_program(count: int) -> Program:
    """One kernel on each of `count` GPUs, in this interpreter and without its packages."""
    command = (sys.executable, "-I", "-S", "-c", BARE.format(f"{PROGRAMS}.kernel"), PACKAGE_PARENT)
    return Program("kernel", command, tuple(f"run {index}" for index in range(count)), KERNEL_SECONDS)


def gpu_program(python: str, gpu: Gpu, level: str, together: int) -> Program:
    """The proofs of one GPU, while `together` GPUs are being proven."""
    arguments = (str(gpu.index), gpu.uuid, level, str(together))
    return _hosted(f"GPU {gpu.index}", python, "one_gpu", arguments, LEVELS[level].stages)


def transfer_program(python: str, gpus: tuple[Gpu, ...], level: str) -> Program:
    """Copies to and from every GPU, then between every two of them."""
    stages = [f"copy {gpu.index}" for gpu in gpus]
    whole = [gpu.index for gpu in gpus if not gpu.uuid.startswith("MIG-")]
    stages += [f"peer {source} {target}" for source in whole for target in whole if source != target]
    return _hosted("copies", python, "transfers", (level,), tuple(stages))


def collective_program(python: str, gpus: tuple[Gpu, ...], level: str) -> Program:
    """One sum over all GPUs."""
    return _hosted("all-reduce", python, "collective", (str(len(gpus)), level), ())


def _hosted(name: str, python: str, module: str, arguments: tuple[str, ...], stages: tuple[str, ...]) -> Program:
    command = (python, "-c", HOSTED.format(f"{PROGRAMS}.{module}"), PACKAGE_PARENT, *arguments)
    return Program(name, command, stages, SECONDS)


def program_environment(environ: Mapping[str, str], cache: str) -> dict[str, str]:
    """The environment of the programs; `cache` is an empty directory for what torch.compile builds."""
    dropped = (*OVERRIDES, "TRITON_CACHE_DIR")
    kept = {name: value for name, value in environ.items() if name not in dropped}
    # NCCL's own words tell the cause. TorchInductor keeps Triton's cache in its own.
    return {"NCCL_DEBUG": "WARN", **kept, "TORCHINDUCTOR_CACHE_DIR": cache}
