"""Pure: which of the three ways passes the requested GPUs through on this engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from launcher.engine import Attachment, EngineInfo
from launcher.errors import GpuTakenError, NotReadyError, UsageError
from launcher.spec import GpuRequest

VENDOR = "nvidia.com/gpu"
EVERY = "all"
# UUID, index or "all" -> the environments that hold it; several where they share it.
Holders = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class HostGpu:
    """A GPU of the engine's host: `index` as nvidia-smi counts, `uuid` as NVML names it."""

    index: int
    uuid: str
    name: str = "NVIDIA GPU"


def choose_gpus(request: GpuRequest, gpus: Sequence[HostGpu], held: Holders, share: bool = False) -> tuple[str, ...]:
    """The UUIDs a request gets.

    `auto` takes every free GPU and a count any free ones; raises GpuTakenError naming the holders when there are
    too few, UsageError when a named GPU does not exist.
    """
    free = [gpu.uuid for gpu in gpus if share or not taken((gpu.uuid,), held)]
    if request.kind == "devices":
        return _named(request.devices, gpus, held, share)
    wanted = {"auto": max(1, len(free)), "all": len(gpus), "count": request.count}[request.kind]
    if wanted > len(gpus):
        raise UsageError(
            f"--gpus {request} asks for more than the {len(gpus)} GPU(s) of this machine", "Ask for fewer."
        )
    if wanted > len(free):
        refuse_taken([gpu.uuid for gpu in gpus], held)
    return tuple(free[:wanted])


def _named(names: tuple[str, ...], gpus: Sequence[HostGpu], held: Holders, share: bool) -> tuple[str, ...]:
    by_name = {str(gpu.index): gpu.uuid for gpu in gpus} | {gpu.uuid: gpu.uuid for gpu in gpus}
    # What does not exist first: freeing the others would not help.
    for name in names:
        if name not in by_name:
            present = ", ".join(str(gpu.index) for gpu in gpus)
            raise UsageError(
                f"there is no GPU {name} on this machine (present: {present})", "See them with: nvidia-smi -L"
            )
    chosen = tuple(by_name[name] for name in names)
    if not share:
        refuse_taken(chosen, held)
    return chosen


def taken(gpus: Sequence[str], held: Holders) -> list[str]:
    """Names of the environments that hold one of `gpus`; "all", on either side, is every GPU of the machine."""
    every = EVERY in gpus
    return sorted({name for gpu, names in held.items() if every or gpu == EVERY or gpu in gpus for name in names})


def refuse_taken(gpus: Sequence[str], held: Holders) -> None:
    """Raises GpuTakenError when another environment holds one of `gpus`."""
    names = taken(gpus, held)
    if names:
        raise GpuTakenError(
            f"the GPUs asked for are held by: {', '.join(names)}",
            "Stop that environment (launcher stop NAME), ask for other GPUs, or share them with --share.",
        )


def attachments(
    info: EngineInfo, gpus: Sequence[str], every: bool, indices: Sequence[str] = ()
) -> tuple[Attachment, ...]:
    """Ways to try, best first: CDI, the nvidia device request, the nvidia runtime.

    `gpus` are UUIDs (or what else the engine calls them), `indices` the same GPUs by number: CDI specs made by older
    toolkits know only those. `every` says that they are all of the machine's. Raises NotReadyError when the engine
    offers none of the three.
    """
    ways = []
    cdi = _cdi_devices(info, gpus, every) or _cdi_devices(info, indices, every)
    if cdi:
        ways.append(Attachment("cdi", cdi))
    if "nvidia" in info.runtimes:
        ways += [Attachment("device-request", tuple(gpus)), Attachment("runtime", tuple(gpus))]
    if not ways:
        raise NotReadyError(
            "the engine cannot pass GPUs through: the NVIDIA Container Toolkit is not installed or not configured",
            ("Run: " if info.local else "On the engine's machine, run: ")
            + "launcher setup   (or nvidia-ctk runtime configure --runtime=docker, then restart Docker)",
            cause_id="container-no-gpu-runtime",
        )
    return tuple(ways)


def _cdi_devices(info: EngineInfo, gpus: Sequence[str], every: bool) -> tuple[str, ...]:
    known = {device.partition("=")[2] for device in info.cdi_devices if device.startswith(VENDOR + "=")}
    if every and "all" in known:
        return (f"{VENDOR}=all",)
    if gpus and set(gpus) <= known:
        return tuple(f"{VENDOR}={gpu}" for gpu in gpus)
    return ()
