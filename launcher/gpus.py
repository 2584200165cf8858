"""Which GPUs the engine's host has, and what an environment gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from envcheck.facts import Nvml
from launcher import labels
from launcher.attach import EVERY, VENDOR, Holders, HostGpu, attachments, choose_gpus, refuse_taken
from launcher.device import ASKED_FOR_CPU
from launcher.engine import EngineInfo
from launcher.errors import ConflictError, NotReadyError
from launcher.gpu_holders import held_gpus
from launcher.plan import Device
from launcher.spec import GpuRequest


def host_gpus(info: EngineInfo, root: Path = Path("/")) -> tuple[HostGpu, ...]:
    """The GPUs by NVML, for a local engine on this machine (`root` is /), else by the names in its CDI specs."""
    devices = host_nvml(info, root).devices
    if devices:
        return tuple(HostGpu(device.index, device.uuid, device.name) for device in devices)
    names = [device.partition("=")[2] for device in info.cdi_devices if device.startswith(VENDOR + "=")]
    return tuple(HostGpu(int(name), name) for name in names if name.isdecimal())


def host_nvml(info: EngineInfo, root: Path = Path("/")) -> Nvml:
    """What NVML says on the engine's host; nothing where that is not this machine (`root` is /)."""
    if not (info.local and root == Path("/")):
        return Nvml()
    from envcheck.probes.nvml import probe_nvml

    return probe_nvml()


def devices_to_try(
    request: GpuRequest, reason: str, info: EngineInfo, gpus: Sequence[HostGpu], held: Holders, share: bool
) -> tuple[Device, ...]:
    """One Device for each way to attach the chosen GPUs, best first.

    Raises NotReadyError without a GPU or a way, GpuTakenError when others hold them, UsageError for a GPU that
    does not exist.
    """
    if not gpus:
        # Without NVML here (a remote engine, an old driver) the engine's own list is the only truth there is.
        ways = attachments(info, (EVERY,), every=True)
        if not share:
            refuse_taken((EVERY,), held)
        return tuple(Device(True, reason, (EVERY,), way, share) for way in ways)
    chosen = choose_gpus(request, gpus, held, share)
    indices = {gpu.uuid: str(gpu.index) for gpu in gpus}
    every = len(chosen) == len(gpus)
    ways = attachments(info, chosen, every, [indices[uuid] for uuid in chosen])
    return tuple(Device(True, reason, chosen, way, share) for way in ways)


def no_card_error() -> NotReadyError:
    """GPUs were asked for by name or number on a machine that has none."""
    return NotReadyError(
        "no NVIDIA card found on this machine, and the engine offers none",
        "Run on the CPU with --gpus none, or see: envcheck",
        cause_id="driver-missing",
    )


def device_difference(
    found: Mapping[str, str], request: GpuRequest, gpu_wanted: bool, explicit: bool = False, every: int = 0
) -> tuple[str, str] | None:
    """What an environment runs on and what `request` means instead; None where that is the same.

    `found` are its container's labels, `gpu_wanted` what the GPU rule decided for `request` on this machine. `auto`
    takes what is there, but not the CPU of a day without a usable card, and where `explicit` not one asked for before.
    `every` is how many GPUs `all` means, 0 where nobody knows.
    """
    gpus, reason = held_gpus(found), found.get(labels.DEVICE_REASON, "")
    on_gpu = found.get(labels.DEVICE) == "gpu"
    if request.kind == "auto":
        same = on_gpu or not gpu_wanted or (reason == ASKED_FOR_CPU and not explicit)
    elif request.kind == "count":
        same = on_gpu and len(gpus) == request.count
    elif request.kind == "all":
        same = on_gpu and (every in (0, len(gpus)) or gpus == (EVERY,))
    elif request.kind == "devices" and _comparable(request.devices, gpus):
        same = on_gpu and set(request.devices) == set(gpus)
    else:
        same = on_gpu == gpu_wanted
    if same:
        return None
    return (f"GPU {', '.join(gpus)}" if on_gpu else f"the CPU ({reason})"), f"--gpus {request}"


def _comparable(one: Sequence[str], other: Sequence[str]) -> bool:
    """Indices can be compared with indices, UUIDs with UUIDs."""
    return len({device.isdecimal() for device in (*one, *other)}) == 1


def refuse_other_device(name: str, found: Mapping[str, str], request: GpuRequest, gpu_wanted: bool) -> None:
    """`train` takes an environment that runs as it is: a wish for something else is never passed over.

    Raises ConflictError.
    """
    difference = device_difference(found, request, gpu_wanted)
    if difference:
        raise ConflictError(
            f"environment {name} runs on {difference[0]}, which is not what {difference[1]} means now",
            f"Make it anew, its files are kept: launcher down {name}, then this command again",
        )
