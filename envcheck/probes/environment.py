"""The environment variables that change what CUDA and PyTorch see (no other is recorded), and the distribution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from envcheck.probes.paths import read_text

JUDGED = (
    "CUDA_VERSION",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_MPS_PIPE_DIRECTORY",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NCCL_SOCKET_IFNAME",
    "NVIDIA_DISABLE_REQUIRE",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "PYTORCH_NVML_BASED_CUDA_CHECK",
)
# What the image requires of card and driver: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/
REQUIREMENT = "NVIDIA_REQUIRE_"


def probe_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The judged variables that are set."""
    names = [*JUDGED, *sorted(name for name in environ if name.startswith(REQUIREMENT))]
    return {name: environ[name] for name in names if name in environ}


def probe_distribution(root: Path) -> str | None:
    """ID of /etc/os-release ("debian", "ubuntu"): https://www.freedesktop.org/software/systemd/man/os-release.html"""
    for line in (read_text(root, "/etc/os-release") or "").splitlines():
        name, _, value = line.partition("=")
        if name == "ID":
            return value.strip("\"'")
    return None
