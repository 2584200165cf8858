"""One look at the machine: every probe, in the order that costs least."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from envcheck.facts import Cuda, Facts, Torch
from envcheck.probes.child import library_timeout
from envcheck.probes.container import probe_container
from envcheck.probes.cuda import finish_cuda, start_cuda
from envcheck.probes.driver import probe_driver
from envcheck.probes.environment import probe_distribution, probe_environment
from envcheck.probes.fabric import probe_fabric
from envcheck.probes.hardware import scan_hardware, with_libraries
from envcheck.probes.kernel_log import probe_kernel_log
from envcheck.probes.memory import probe_memory
from envcheck.probes.network import probe_network
from envcheck.probes.nvml import finish_nvml, start_nvml
from envcheck.probes.packages import probe_shadowing_packages
from envcheck.probes.programs import Runner, no_programs, run
from envcheck.probes.runtime import probe_runtime
from envcheck.probes.shadowing import probe_shadowing


def system_root(environ: Mapping[str, str] | None = None) -> Path:
    """`/`, or the directory named by ENVCHECK_ROOT, for tests."""
    return Path((os.environ if environ is None else environ).get("ENVCHECK_ROOT") or "/")


def collect(
    root: Path, *, torch: bool = True, environ: Mapping[str, str] | None = None, runner: Runner | None = None
) -> Facts:
    """Every fact. With `torch` False PyTorch is not imported, and `Facts.torch` is None.

    `runner` runs the few programs that are asked (default: really, but none for an injected root).
    """
    variables = os.environ if environ is None else environ
    runner = runner or (run if root == Path("/") else no_programs)
    # The two library children work while the files are read.
    cuda_child, nvml_child = start_cuda(root, variables), start_nvml(root, variables)
    files = _files(root, variables, runner)
    timeout = library_timeout(variables)
    cuda, nvml = finish_cuda(cuda_child, timeout), finish_nvml(nvml_child, timeout)
    hardware = with_libraries(files.hardware, cuda, nvml)
    return replace(files, hardware=hardware, cuda=cuda, nvml=nvml, torch=_torch(variables, cuda) if torch else None)


def _files(root: Path, variables: Mapping[str, str], runner: Runner) -> Facts:
    """What is known without loading any library."""
    container = probe_container(root)
    hardware = scan_hardware(root, container.request)
    return Facts(
        hardware=hardware,
        driver=probe_driver(root),
        container=container,
        runtime=probe_runtime(root, variables),
        memory=probe_memory(root),
        network=probe_network(root),
        kernel_log=probe_kernel_log(root, runner, cards=bool(hardware.cards)),
        fabric=probe_fabric(root, runner),
        environment=probe_environment(variables),
        shadowing=probe_shadowing(variables),
        shadowing_packages=probe_shadowing_packages(root, variables),
        python=platform.python_version(),
        distribution=probe_distribution(root),
    )


def _torch(environ: Mapping[str, str], cuda: Cuda) -> Torch:
    from envcheck.probes.torch import probe_torch

    # What crashed or hung by itself would do so again inside PyTorch, and take its time once more.
    return probe_torch(environ, cuda.device_count or 0, touch_gpu=cuda.crash is None)
