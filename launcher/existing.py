"""What `up` may do with a container or volumes of the name that are there already."""

from __future__ import annotations

from launcher import labels
from launcher.context import Context
from launcher.engine import Container
from launcher.errors import ConflictError
from launcher.spec import UpRequest


def is_reusable(request: UpRequest, existing: Container) -> bool:
    """False when the container must be made anew; raises ConflictError for a foreign or different one."""
    found = existing.labels
    if labels.NAME not in found:
        raise ConflictError(
            f"a container named {existing.name} exists that the launcher did not make",
            f"Remove it, or choose another name: launcher up NAME --mode {request.mode.value}",
        )
    if (found.get(labels.MODE), found.get(labels.PROJECT)) != (request.mode.value, str(request.project)):
        raise ConflictError(
            f"environment {request.name} exists already for {found.get(labels.PROJECT)} ({found.get(labels.MODE)})",
            "Choose another name: launcher up NAME ...",
        )
    return existing.state not in ("created", "dead")


def refuse_other_volumes(context: Context, request: UpRequest) -> None:
    """An environment that is down still owns its home: another project must not inherit it."""
    for volume in context.engine.volumes(f"{labels.NAME}={request.name}"):
        found = volume.labels
        same = (found.get(labels.MODE), found.get(labels.PROJECT)) == (request.mode.value, str(request.project))
        if found.get(labels.OWNER) == str(context.owner) and not same:
            raise ConflictError(
                f"environment {request.name} exists already for {found.get(labels.PROJECT)} ({found.get(labels.MODE)})",
                f"Choose another name, or delete it: launcher rm {request.name}",
            )
