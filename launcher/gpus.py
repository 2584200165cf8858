"""Which GPUs the engine's host has, and what an environment gets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from envcheck.facts import Nvml, NvmlDevice
from launcher import labels
from launcher.attach import EVERY, Holders, HostGpu, attachments, cdi_names, refuse_taken, taken
from launcher.device import ASKED_FOR_CPU
from launcher.engine import EngineInfo
from launcher.errors import ConflictError, NotReadyError, UsageError
from launcher.gpu_holders import held_gpus
from launcher.gpu_selection import choose_gpus, numbered
from launcher.plan import Device
from launcher.render import readable_bytes
from launcher.spec import GpuRequest

# A card whose processes are hidden (another namespace) is in use when more than this many bytes are: an idle one with
# a desktop on it has less.
BUSY_BYTES = 2 << 30
# More than any machine has.
MOST_GPUS = 64
CDI_NUMBER = re.compile(r"(\d+)(?::(\d+))?")


def host_gpus(info: EngineInfo, root: Path = Path("/")) -> tuple[HostGpu, ...]:
    """What can be attached, by NVML for a local engine of this machine, else by the names in the engine's CDI specs.

    `root` is `/`, or a recorded machine's. Raises NotReadyError where every card is in MIG mode without an instance.
    """
    nvml = host_nvml(info, root)
    return attachable(nvml) if nvml.devices else specified(info)


def host_nvml(info: EngineInfo, root: Path = Path("/")) -> Nvml:
    """What NVML says on the engine's host, usage included; nothing where that is not this machine.

    NVML runs in a child: one that hangs or crashes is a reason in `error`.
    """
    if not info.local:
        return Nvml(error="the engine is on another machine")
    from envcheck.probes.child import library_timeout
    from envcheck.probes.nvml import probe_nvml

    return probe_nvml(root, timeout=library_timeout(os.environ), usage=True)


def attachable(nvml: Nvml) -> tuple[HostGpu, ...]:
    """The cards, and in place of a card in MIG mode its instances; raises NotReadyError where nothing is left."""
    found: list[HostGpu] = []
    for device in nvml.devices:
        instances = device.usage.instances if device.usage else ()
        if device.mig:
            found += [HostGpu(device.index, i.uuid, i.name or device.name, i.index, device.uuid) for i in instances]
        else:
            found.append(HostGpu(device.index, device.uuid, device.name, busy=used_by(device)))
    if not found:
        raise NotReadyError(
            "every GPU of this machine is in MIG mode and has no instance",
            "Make one: sudo nvidia-smi mig -cgi 0 -C   (sizes: nvidia-smi mig -lgip)",
        )
    return tuple(found)


def used_by(device: NvmlDevice) -> str:
    """What computes on a card, in words; "" where nothing does."""
    usage = device.usage
    computing = [process for process in (usage and usage.processes) or () if process.compute]
    memory = (usage and usage.memory_used) or 0
    if not computing and memory <= BUSY_BYTES:
        return ""
    count = f"{len(computing)} process{'es' if len(computing) != 1 else ''}, " if computing else ""
    return f"{count}{readable_bytes(memory)}"


def specified(info: EngineInfo) -> tuple[HostGpu, ...]:
    """The GPUs by the engine's CDI specs: by number, or by UUID where a spec knows no numbers."""
    names = cdi_names(info)
    numbers = [match for match in map(CDI_NUMBER.fullmatch, names) if match]
    if numbers:
        return tuple(HostGpu(int(m[1]), m[0], instance=int(m[2]) if m[2] else None) for m in numbers)
    uuids = [name for name in names if name.startswith(("GPU-", "MIG-"))]
    return tuple(HostGpu(index, uuid) for index, uuid in enumerate(uuids))


def devices_to_try(
    request: GpuRequest, reason: str, info: EngineInfo, gpus: Sequence[HostGpu], held: Holders, share: bool
) -> tuple[Device, ...]:
    """One Device for each way to attach the chosen GPUs, best first.

    Raises NotReadyError without a GPU or a way, GpuTakenError when others hold them, UsageError for a GPU that
    does not exist.
    """
    if not gpus:
        # A remote engine's nvidia runtime, or an old driver: how many there are only the container will tell.
        unlisted = _unlisted(request, held, share)
        ways = attachments(info, unlisted, every=unlisted == (EVERY,))
        return tuple(Device(True, reason, unlisted, way, share) for way in ways)
    chosen = choose_gpus(request, gpus, held, share)
    numbers = {gpu.uuid: gpu.number for gpu in gpus}
    every = len(chosen) == len(gpus)
    ways = attachments(info, chosen, every, [numbers[uuid] for uuid in chosen])
    return tuple(Device(True, reason, chosen, way, share) for way in ways)


def _unlisted(request: GpuRequest, held: Holders, share: bool) -> tuple[str, ...]:
    """Names to ask the engine for where nobody lists its GPUs; raises GpuTakenError."""
    names = {"devices": request.devices, "count": tuple(map(str, range(request.count)))}.get(request.kind, (EVERY,))
    if request.kind == "count" and not share:
        free = [str(index) for index in range(MOST_GPUS) if not taken((str(index),), held)]
        names = tuple(free[: request.count]) or names
    if not share:
        refuse_taken(names, held)
    return names


def no_card_error() -> NotReadyError:
    """GPUs were asked for by name or number on a machine that has none."""
    return NotReadyError(
        "no NVIDIA card found on this machine, and the engine offers none",
        "Run on the CPU with --gpus none, or see: envcheck",
        cause_id="driver-missing",
    )


def device_difference(
    found: Mapping[str, str],
    request: GpuRequest,
    gpu_wanted: bool,
    gpus: Callable[[], Sequence[HostGpu]] = tuple,
    explicit: bool = False,
) -> tuple[str, str] | None:
    """What an environment runs on and what `request` means instead; None where that is the same.

    `found` are its container's labels, `gpu_wanted` what the GPU rule decided for `request` on this machine, whose GPUs
    `gpus` lists where names must be compared. `auto` takes what is there, but not the CPU of a day without a usable
    card, and where `explicit` not one asked for before.
    """
    held, reason = held_gpus(found), found.get(labels.DEVICE_REASON, "")
    on_gpu = found.get(labels.DEVICE) == "gpu"
    if request.kind == "auto":
        same = on_gpu or not gpu_wanted or (reason == ASKED_FOR_CPU and not explicit)
    elif request.kind == "count":
        same = on_gpu and len(held) == request.count
    elif request.kind == "all":
        # Where nobody can list the GPUs, whatever it has counts as all of them.
        same = on_gpu and (held == (EVERY,) or len(gpus()) in (0, len(held)))
    elif request.kind == "devices":
        same = on_gpu and _same_gpus(request.devices, held, gpus)
    else:
        same = on_gpu == gpu_wanted
    if same:
        return None
    return (f"GPU {', '.join(held)}" if on_gpu else f"the CPU ({reason})"), f"--gpus {request}"


def refuse_other_device(
    name: str,
    found: Mapping[str, str],
    request: GpuRequest,
    gpu_wanted: bool,
    gpus: Callable[[], Sequence[HostGpu]] = tuple,
) -> None:
    """`train` takes an environment that runs as it is: a wish for something else is never passed over.

    Raises ConflictError.
    """
    difference = device_difference(found, request, gpu_wanted, gpus)
    if difference:
        raise ConflictError(
            f"environment {name} runs on {difference[0]}, which is not what {difference[1]} means now",
            f"Make it anew, its files are kept: launcher down {name}, then this command again",
        )


def _same_gpus(asked: Sequence[str], held: Sequence[str], gpus: Callable[[], Sequence[HostGpu]]) -> bool:
    if set(asked) == set(held):
        return True
    if held == (EVERY,):
        return True
    try:
        return set(numbered(asked, gpus())) == set(held)
    except UsageError:
        return False
