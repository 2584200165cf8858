"""The environment variables that change what CUDA and PyTorch see. No other variable is read or recorded."""

from __future__ import annotations

from collections.abc import Mapping

JUDGED = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_MPS_PIPE_DIRECTORY",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NCCL_SOCKET_IFNAME",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "PYTORCH_NVML_BASED_CUDA_CHECK",
)


def probe_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The judged variables that are set."""
    return {name: environ[name] for name in JUDGED if name in environ}
