"""Which GPUs the engine's host has, who holds them, and what an environment gets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from launcher import labels
from launcher.attach import VENDOR, HostGpu, attachments, choose_gpus
from launcher.device import ASKED_FOR_CPU
from launcher.engine import Container, EngineInfo
from launcher.errors import ConflictError, NotReadyError
from launcher.plan import Device
from launcher.spec import GpuRequest


def host_gpus(info: EngineInfo) -> tuple[HostGpu, ...]:
    """The GPUs by NVML for a local engine, else by the names in its CDI specs."""
    if info.local:
        from envcheck.probes.nvml import probe_nvml

        devices = probe_nvml().devices
        if devices:
            return tuple(HostGpu(device.index, device.uuid, device.name) for device in devices)
    names = [device.partition("=")[2] for device in info.cdi_devices if device.startswith(VENDOR + "=")]
    return tuple(HostGpu(int(name), name) for name in names if name.isdecimal())


def holders(containers: Iterable[Container], but: str = "") -> dict[str, str]:
    """GPU -> name of the environment that holds it: every container that runs or may run again."""
    held: dict[str, str] = {}
    for container in containers:
        name = container.labels.get(labels.NAME, container.name)
        if container.name == but or container.state in ("exited", "dead"):
            continue
        for gpu in held_gpus(container.labels):
            held[gpu] = name
    return held


def held_gpus(container_labels: Mapping[str, str]) -> tuple[str, ...]:
    """The GPUs recorded in an environment's labels."""
    try:
        return tuple(str(gpu) for gpu in json.loads(container_labels.get(labels.GPUS, "[]")))
    except ValueError:
        return ()


def devices_to_try(
    request: GpuRequest, reason: str, info: EngineInfo, gpus: Sequence[HostGpu], held: dict[str, str], share: bool
) -> tuple[Device, ...]:
    """One Device for each way to attach the chosen GPUs, best first.

    Raises NotReadyError without a GPU or a way, ConflictError when others hold them, UsageError for a GPU that
    does not exist.
    """
    if not gpus:
        # Without NVML here (a remote engine, an old driver) the engine's own list is the only truth there is.
        ways = attachments(info, ("all",), every=True)
        return tuple(Device(True, reason, ("all",), way) for way in ways)
    chosen = choose_gpus(request, gpus, held, share)
    indices = {gpu.uuid: str(gpu.index) for gpu in gpus}
    every = len(chosen) == len(gpus)
    ways = attachments(info, chosen, every)
    if ways[0].kind != "cdi":
        # CDI specs made by older toolkits name devices by index only.
        ways = (
            tuple(way for way in attachments(info, [indices[uuid] for uuid in chosen], every) if way.kind == "cdi")
            + ways
        )
    return tuple(Device(True, reason, chosen, way) for way in ways)


def no_card_error() -> NotReadyError:
    """GPUs were asked for by name or number on a machine that has none."""
    return NotReadyError(
        "no NVIDIA card found on this machine, and the engine offers none",
        "Run on the CPU with --gpus none, or see: envcheck",
        cause_id="driver-missing",
    )


def refuse_other_device(name: str, found: Mapping[str, str], request: GpuRequest, gpu_wanted: bool) -> None:
    """An environment that is there runs on what it was made with; a wish for something else is never passed over.

    `found` are its container's labels, `gpu_wanted` what the GPU rule decided for `request` on this machine. `auto`
    takes what is there, but not the CPU of a day without a usable card. Raises ConflictError.
    """
    gpus, reason = held_gpus(found), found.get(labels.DEVICE_REASON, "")
    on_gpu = found.get(labels.DEVICE) == "gpu"
    if request.kind == "auto":
        same = on_gpu or not gpu_wanted or reason == ASKED_FOR_CPU
    elif request.kind == "count":
        same = on_gpu and len(gpus) == request.count
    elif request.kind == "devices" and all(device.isdecimal() for device in (*request.devices, *gpus)):
        same = on_gpu and set(request.devices) == set(gpus)
    else:
        same = on_gpu == gpu_wanted
    if not same:
        has = f"on GPU {', '.join(gpus)}" if on_gpu else f"on the CPU ({reason})"
        raise ConflictError(
            f"environment {name} runs {has}, which is not what --gpus {request} means now",
            f"Make it anew, its files are kept: launcher down {name}, then this command again",
        )
