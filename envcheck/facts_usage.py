"""Facts about what uses the cards at this moment. Only read where somebody asks for it: no recording holds them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process with a compute or graphics context on the GPU, by the pid of the namespace that NVML was asked in.

    `memory` is bytes, None where the driver does not say (Windows' driver model, another user's namespace).
    """

    pid: int
    memory: int | None = None
    compute: bool = True


@dataclass(frozen=True, slots=True)
class MigInstance:
    """One MIG instance of a card: `index` as `nvidia-smi -L` counts them; bytes."""

    index: int
    uuid: str
    name: str = ""
    memory_total: int | None = None
    memory_used: int | None = None


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """`memory_used` is bytes without what the driver keeps for itself, where it tells the two apart; `utilisation`
    the percentage of the last sample in which a kernel ran. `unread` gives the reason of a field that is None.

    Source: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
    """

    memory_used: int | None = None
    utilisation: int | None = None
    processes: tuple[GpuProcess, ...] | None = None
    instances: tuple[MigInstance, ...] = ()
    unread: dict[str, str] = field(default_factory=dict)
