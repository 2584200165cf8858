"""Which environment holds which GPU. The engine's containers are the only record, so that all users see the same."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence

from launcher import labels
from launcher.attach import refuse_taken, taken
from launcher.engine import Container, Engine
from launcher.errors import GpuTakenError

CLAIM_SECONDS = 10.0
# From a container's creation to its start it takes seconds; the engine's clock may be another machine's.
ABANDONED_SECONDS = 900.0
POLL_SECONDS = 0.05


def held_gpus(container_labels: Mapping[str, str]) -> tuple[str, ...]:
    """The GPUs recorded in an environment's labels."""
    try:
        return tuple(str(gpu) for gpu in json.loads(container_labels.get(labels.GPUS, "[]")))
    except ValueError:
        return ()


def holds(container: Container) -> bool:
    """Whether the container keeps its GPUs: one that has ended holds nothing, and asks again when it starts.

    One that was made long ago and never started is what a launcher left that was killed in between.
    """
    if container.state == "created" and container.created:
        return time.time() - container.created < ABANDONED_SECONDS
    return container.state not in ("exited", "dead", "removing")


def holders(containers: Iterable[Container], but: str = "") -> dict[str, list[str]]:
    """GPU -> names of the environments and training runs that hold it."""
    held: dict[str, list[str]] = {}
    for container in containers:
        if container.name == but or not holds(container):
            continue
        for gpu in held_gpus(container.labels):
            held.setdefault(gpu, []).append(container.labels.get(labels.NAME, container.name))
    return held


def claim_gpus(engine: Engine, name: str, gpus: Sequence[str]) -> None:
    """Called between a container's creation and its start; raises GpuTakenError when another one gets the GPUs.

    Two users may choose the same free GPU at the same moment. Each one's container is visible before it looks here, so
    at least one of them sees the other; and of two that see each other, the name that sorts first waits for the other
    to give way. Nobody starts who sees a rival.
    """
    deadline = time.monotonic() + CLAIM_SECONDS
    while gpus:
        rivals = [c for c in engine.containers(labels.GPUS) if c.name != name and taken(gpus, holders([c]))]
        if not rivals:
            return
        if any(c.state != "created" or c.name < name for c in rivals) or time.monotonic() > deadline:
            refuse_taken(gpus, holders(rivals))
        time.sleep(POLL_SECONDS)


def start_with_gpus(engine: Engine, name: str, gpus: Sequence[str], share: bool) -> None:
    """Start a stopped container; raises GpuTakenError, with the container stopped, when its GPUs were given away."""

    def refuse() -> None:
        if gpus and not share:
            refuse_taken(gpus, holders(engine.containers(labels.GPUS), but=name))

    refuse()
    engine.start(name)
    try:
        refuse()
    except GpuTakenError:
        engine.stop(name)
        raise
