"""Pure: the GPUs of the engine's host, who holds each, and what runs on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from envcheck.facts import GpuUsage, NvmlDevice
from envcheck.facts_usage import GpuProcess, MigInstance
from launcher import labels
from launcher.attach import EVERY, HostGpu
from launcher.engine import Container
from launcher.gpu_holders import held_gpus, holds
from launcher.gpu_processes import Origin
from launcher.gpus import used_by


@dataclass(frozen=True, slots=True)
class Holder:
    """An environment or a training run that holds a GPU; `owner` is its user's uid, `since` when its container was
    made, in seconds since the epoch: the engine's listing tells no later start."""

    name: str
    owner: int
    since: int

    def to_json(self) -> dict[str, Any]:
        since = datetime.fromtimestamp(self.since, timezone.utc).isoformat() if self.since else None
        return {"name": self.name, "owner": self.owner, "since": since}


@dataclass(frozen=True, slots=True)
class Process:
    """What computes or draws on a GPU: bytes, user and environment where they can be told."""

    pid: int
    memory: int | None
    owner: str | None
    environment: str | None

    def to_json(self) -> dict[str, Any]:
        return {"pid": self.pid, "memory": self.memory, "owner": self.owner, "environment": self.environment}


@dataclass(frozen=True, slots=True)
class GpuState:
    """One card or MIG instance. Memory is bytes, `utilisation` percent, `busy` what other programs use, in words.

    `processes` is None where NVML does not list them; `mig` where the card cannot be divided.
    """

    index: int
    number: str
    uuid: str
    name: str
    memory_used: int | None = None
    memory_total: int | None = None
    utilisation: int | None = None
    processes: tuple[Process, ...] | None = None
    holders: tuple[Holder, ...] = ()
    busy: str = ""
    mig: bool | None = None
    instances: tuple[GpuState, ...] = ()

    @property
    def state(self) -> str:
        """One word: free, held (by one), shared (by several), or divided (into MIG instances, which have their own)."""
        if self.instances:
            return "divided"
        return {0: "free", 1: "held"}.get(len(self.holders), "shared")

    def to_json(self) -> dict[str, Any]:
        """A row of `gpus --json`: keys are added, never renamed."""
        named = {"index": self.index, "number": self.number, "uuid": self.uuid, "name": self.name, "state": self.state}
        used = {"memory_used": self.memory_used, "memory_total": self.memory_total, "utilisation": self.utilisation}
        processes = None if self.processes is None else [process.to_json() for process in self.processes]
        return {
            **named,
            "busy": self.busy or None,
            **used,
            "processes": processes,
            "holders": [holder.to_json() for holder in self.holders],
            "mig": self.mig,
            "instances": [instance.to_json() for instance in self.instances],
        }


@dataclass(frozen=True, slots=True)
class GpuReport:
    """`source` is nvml, cdi or none; `remark` says what is missing from the list and why, None where nothing is."""

    gpus: tuple[GpuState, ...]
    source: str
    remark: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"gpus": [gpu.to_json() for gpu in self.gpus], "source": self.source, "remark": self.remark}


def from_nvml(
    devices: Iterable[NvmlDevice], containers: Sequence[Container], origin: Callable[[int], Origin]
) -> tuple[GpuState, ...]:
    """By NVML's list; `origin` tells whose process a pid is."""
    return tuple(_card(device, containers, origin) for device in devices)


def from_names(gpus: Iterable[HostGpu], containers: Sequence[Container]) -> tuple[GpuState, ...]:
    """By the engine's own list, which has no more than names."""
    states = (GpuState(gpu.index, gpu.number, gpu.uuid, gpu.name) for gpu in gpus)
    return tuple(replace(state, holders=_holders(state, containers)) for state in states)


def _card(device: NvmlDevice, containers: Sequence[Container], origin: Callable[[int], Origin]) -> GpuState:
    usage = device.usage or GpuUsage()
    names = {container.id: container.labels.get(labels.NAME, container.name) for container in containers}
    state = GpuState(
        index=device.index,
        number=str(device.index),
        uuid=device.uuid,
        name=device.name,
        memory_used=usage.memory_used,
        memory_total=device.memory_total,
        utilisation=usage.utilisation,
        processes=None if usage.processes is None else tuple(_process(p, names, origin) for p in usage.processes),
        mig=device.mig,
        instances=tuple(_instance(device.index, instance, containers) for instance in usage.instances),
    )
    holding = _holders(state, containers)
    return replace(state, holders=holding, busy="" if holding or state.instances else used_by(device))


def _instance(card: int, instance: MigInstance, containers: Sequence[Container]) -> GpuState:
    state = GpuState(
        index=card,
        number=f"{card}:{instance.index}",
        uuid=instance.uuid,
        name=instance.name,
        memory_used=instance.memory_used,
        memory_total=instance.memory_total,
    )
    return replace(state, holders=_holders(state, containers))


def _process(found: GpuProcess, names: dict[str, str], origin: Callable[[int], Origin]) -> Process:
    seen = origin(found.pid)
    return Process(found.pid, found.memory, seen.owner, names.get(seen.container or ""))


def _holders(gpu: GpuState, containers: Sequence[Container]) -> tuple[Holder, ...]:
    known = {gpu.uuid, gpu.number, EVERY}
    found = [_holder(c) for c in containers if holds(c) and known & set(held_gpus(c.labels))]
    return tuple(sorted(found, key=lambda holder: (holder.since, holder.name)))


def _holder(container: Container) -> Holder:
    owner = container.labels.get(labels.OWNER, "")
    name = container.labels.get(labels.NAME, container.name)
    return Holder(name, int(owner) if owner.isdecimal() else -1, container.created)
