"""The environments an engine holds, found by label: what `ls`, `status` and every verb work on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from launcher import labels
from launcher.engine import Container, Engine
from launcher.errors import ConflictError, UsageError
from launcher.gpu_holders import held_gpus


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment; `state` is running, starting, unhealthy, stopped, paused, created or down (volumes only).

    `synced` says that it works on a copy of `project`, which lies in a volume.
    """

    name: str
    mode: str
    state: str
    owner: int
    project: str
    port: int
    device: str = "cpu"
    device_reason: str = ""
    gpus: tuple[str, ...] = ()
    image: str = ""
    container_id: str = ""
    synced: bool = False

    @property
    def engine_name(self) -> str:
        """The container's and network's name."""
        return labels.engine_name(self.owner, self.name)


def from_container(container: Container) -> Environment:
    """Read an environment off its container."""
    return _from_labels(container.labels, state_of(container), container)


def _from_labels(values: Mapping[str, str], state: str, container: Container | None = None) -> Environment:
    port, owner = values.get(labels.PORT, "0"), values.get(labels.OWNER, "-1")
    return Environment(
        name=values.get(labels.NAME, ""),
        mode=values.get(labels.MODE, ""),
        state=state,
        owner=int(owner) if owner.lstrip("-").isdecimal() else -1,
        project=values.get(labels.PROJECT, ""),
        port=int(port) if port.isdecimal() else 0,
        device=values.get(labels.DEVICE, "cpu"),
        device_reason=values.get(labels.DEVICE_REASON, ""),
        gpus=held_gpus(values),
        image=container.image if container else "",
        container_id=container.id if container else "",
        synced=labels.SYNC in values,
    )


def state_of(container: Container) -> str:
    """One word for the engine's state and health together."""
    if container.state == "running":
        return {"starting": "starting", "unhealthy": "unhealthy"}.get(container.health, "running")
    return {"exited": "stopped", "dead": "stopped", "restarting": "unhealthy"}.get(container.state, container.state)


def list_environments(engine: Engine, owner: int | None = None) -> list[Environment]:
    """All environments of `owner` (None: everybody's) in two engine calls, whatever their number."""
    containers = engine.containers(f"{labels.ROLE}={labels.ROLE_ENVIRONMENT}")
    found = {(e.owner, e.name): e for e in map(from_container, containers)}
    volumes = engine.volumes(f"{labels.ROLE}={labels.ROLE_ENVIRONMENT}")
    # An older home does not know of a copy that was made later.
    for volume in sorted(volumes, key=lambda volume: labels.SYNC not in volume.labels):
        down = _from_labels(volume.labels, "down")
        found.setdefault((down.owner, down.name), down)
    chosen = [e for e in found.values() if owner is None or e.owner == owner]
    return sorted(chosen, key=lambda environment: (environment.owner, environment.name))


def as_seen_by(environments: Iterable[Environment], owner: int) -> list[Environment]:
    """Without the project directories of other users ("" there): whose environment holds what others need to know,
    where somebody keeps the work they do not."""
    return [e if e.owner == owner else replace(e, project="") for e in environments]


def choose(environments: Iterable[Environment], name: str | None, owner: int, project: Path | None) -> Environment:
    """The environment a verb means: by name, else the one of this project, else the only one.

    Raises UsageError when there is none or it is ambiguous, ConflictError when it belongs to somebody else.
    """
    everyone = list(environments)
    own = [e for e in everyone if e.owner == owner]
    if name is not None:
        return _by_name(everyone, own, name)
    here = [e for e in own if project is not None and e.project == str(project)]
    candidates = here or own
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise UsageError("you have no environment", "Start one: launcher up --mode jupyter")
    names = ", ".join(e.name for e in candidates)
    raise UsageError(f"several environments could be meant: {names}", "Name one of them.")


def _by_name(everyone: list[Environment], own: list[Environment], name: str) -> Environment:
    for environment in own:
        if environment.name == name:
            return environment
    if any(e.name == name for e in everyone):
        raise ConflictError(f"environment {name} belongs to another user", "Choose one of your own: launcher ls")
    from difflib import get_close_matches

    close = get_close_matches(name, [e.name for e in own], n=1)
    hint = f"Did you mean {close[0]}?" if close else "See yours: launcher ls"
    raise UsageError(f"there is no environment named {name}", hint)
