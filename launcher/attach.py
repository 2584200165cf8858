"""Pure: which of the three ways passes the requested GPUs through on this engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from launcher.engine import Attachment, EngineInfo
from launcher.errors import GpuTakenError, NotReadyError

VENDOR = "nvidia.com/gpu"
EVERY = "all"
CDI_GENERATE = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
# UUID, index or "all" -> the environments that hold it; several where they share it.
Holders = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class HostGpu:
    """What can be attached on the engine's host: a card, or a MIG instance of one.

    `index` is the card's as nvidia-smi counts, `uuid` as NVML names it; `instance` the number of a MIG instance on the
    card of UUID `card`; `busy` says in words what uses it already, "" where nothing does.
    """

    index: int
    uuid: str
    name: str = "NVIDIA GPU"
    instance: int | None = None
    card: str = ""
    busy: str = ""

    @property
    def number(self) -> str:
        """`0`, or `0:1` for a MIG instance, as nvidia-smi, the toolkit and its CDI specs count."""
        return str(self.index) if self.instance is None else f"{self.index}:{self.instance}"


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
            "Stop that environment (launcher stop NAME), ask for other GPUs (launcher gpus shows them), "
            "or share them with --share.",
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
    if not ways and info.podman:
        raise NotReadyError(
            "Podman cannot pass GPUs through: no CDI spec names them",
            ("Run: " if info.local else "On the engine's machine, run: ") + CDI_GENERATE,
            cause_id="container-no-gpu-runtime",
        )
    if not ways:
        raise NotReadyError(
            "the engine cannot pass GPUs through: the NVIDIA Container Toolkit is not installed or not configured",
            ("Run: " if info.local else "On the engine's machine, run: ")
            + "launcher setup   (or nvidia-ctk runtime configure --runtime=docker, then restart Docker)",
            cause_id="container-no-gpu-runtime",
        )
    return tuple(ways)


def cdi_names(info: EngineInfo) -> tuple[str, ...]:
    """What the engine's CDI specs call NVIDIA's devices, without vendor and class."""
    return tuple(device.partition("=")[2] for device in info.cdi_devices if device.startswith(VENDOR + "="))


def _cdi_devices(info: EngineInfo, gpus: Sequence[str], every: bool) -> tuple[str, ...]:
    known = set(cdi_names(info))
    if every and EVERY in known:
        return (f"{VENDOR}={EVERY}",)
    if gpus and set(gpus) <= known:
        return tuple(f"{VENDOR}={gpu}" for gpu in gpus)
    return ()
