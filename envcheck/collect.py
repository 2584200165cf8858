"""One look at the machine: every probe, in the order that costs least."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from envcheck.facts import Facts, Torch
from envcheck.probes.container import probe_container
from envcheck.probes.cuda import finish_cuda, start_cuda
from envcheck.probes.driver import probe_driver
from envcheck.probes.environment import probe_distribution, probe_environment
from envcheck.probes.hardware import scan_hardware, with_libraries
from envcheck.probes.memory import probe_memory
from envcheck.probes.nvml import finish_nvml, start_nvml
from envcheck.probes.runtime import probe_runtime


def system_root(environ: Mapping[str, str] | None = None) -> Path:
    """`/`, or the directory named by ENVCHECK_ROOT, for tests."""
    return Path((os.environ if environ is None else environ).get("ENVCHECK_ROOT") or "/")


def collect(root: Path, *, torch: bool = True, environ: Mapping[str, str] | None = None) -> Facts:
    """Every fact. With `torch` False PyTorch is not imported, and `Facts.torch` is None."""
    variables = os.environ if environ is None else environ
    # The two library children work while the files are read.
    cuda_child, nvml_child = start_cuda(root, variables), start_nvml(root, variables)
    container = probe_container(root)
    seen = scan_hardware(root, container.request)
    driver, runtime, memory = probe_driver(root), probe_runtime(root, variables), probe_memory(root)
    cuda, nvml = finish_cuda(cuda_child), finish_nvml(nvml_child)
    return Facts(
        hardware=with_libraries(seen, cuda, nvml),
        driver=driver,
        cuda=cuda,
        nvml=nvml,
        torch=_torch(variables, cuda.device_count or 0) if torch else None,
        container=container,
        runtime=runtime,
        memory=memory,
        environment=probe_environment(variables),
        python=platform.python_version(),
        distribution=probe_distribution(root),
    )


def _torch(environ: Mapping[str, str], gpus: int) -> Torch:
    from envcheck.probes.torch import probe_torch

    return probe_torch(environ, gpus)
