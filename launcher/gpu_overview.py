"""`gpus`: every GPU of the engine's host, in two engine calls and one child that asks NVML."""

from __future__ import annotations

from envcheck.facts import Nvml
from launcher import labels
from launcher.context import Context
from launcher.device import decide_device, refuse_broken_driver, system_root
from launcher.engine import EngineInfo
from launcher.errors import NotReadyError
from launcher.gpu_processes import origin_of
from launcher.gpu_report import GpuReport, from_names, from_nvml
from launcher.gpus import host_nvml, specified


def overview(context: Context) -> GpuReport:
    """What NVML says on this machine, else what the engine's CDI specs name, else why there is nothing to list.

    Raises NotReadyError with envcheck's cause where this machine has a card that cannot be asked.
    """
    info = context.engine.info()
    nvml = host_nvml(info, system_root(context.environ))
    if nvml.devices:
        containers = context.engine.containers(labels.GPUS)
        return GpuReport(from_nvml(nvml.devices, containers, origin_of), "nvml", _unanswered(nvml))
    named = specified(info)
    if named:
        remark = f"names of the engine's CDI specification; no figures: {nvml.error or 'NVML lists no GPU'}"
        return GpuReport(from_names(named, context.engine.containers(labels.GPUS)), "cdi", remark)
    return GpuReport((), "none", _nothing(context, info, nvml))


def _unanswered(nvml: Nvml) -> str | None:
    lost = len(nvml.device_codes)
    return f"{lost} more GPU{'s do' if lost != 1 else ' does'} not answer NVML; see: envcheck" if lost else None


def _nothing(context: Context, info: EngineInfo, nvml: Nvml) -> str:
    if not info.local:
        if "nvidia" in info.runtimes:
            return "the engine is on another machine, and its nvidia runtime names no GPUs; `up --gpus all` uses them"
        return "the engine is on another machine and offers no GPU"
    from envcheck.probes.hardware import probe_hardware

    root = system_root(context.environ)
    hardware = probe_hardware(root)
    if not hardware.present:
        return "no NVIDIA card found on this machine"
    refuse_broken_driver(decide_device("auto", hardware), hardware, root)
    raise NotReadyError(f"the NVIDIA card cannot be asked: {nvml.error or 'NVML lists no GPU'}", "See why: envcheck")
