"""Pure: resource limits against the machine that has to keep them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from launcher.errors import UsageError
from launcher.settings.values import size_text
from launcher.spec import UpRequest


def refuse_impossible_limits(request: UpRequest, processors: int) -> None:
    """The engine refuses more processors than it has, with a text of its own. Raises UsageError."""
    if request.cpus is not None and request.cpus > processors:
        raise UsageError(
            f"--cpus {request.cpus:g} is more than the {processors} processor(s) of this machine",
            f"Use at most {processors}, or leave it out for all of them.",
        )


def limit_warnings(request: UpRequest, memory_bytes: int, unlimited: Collection[str] = ()) -> Iterator[str]:
    """A line for each limit that cannot do what its number says.

    `memory_bytes` is the machine's, `unlimited` names what the engine cannot limit.
    """
    asked = {"memory": request.memory_bytes, "cpus": request.cpus, "pids": request.pids}
    for name in unlimited:
        if asked.get(name) is not None:
            yield f"{name}: this engine cannot limit it, as its cgroup lacks the controller; the limit is not in force"
    if request.memory_bytes is not None and request.memory_bytes > memory_bytes:
        has = f"{memory_bytes / (1 << 30):.1f}g"
        yield f"memory: {size_text(request.memory_bytes)} is more than this machine has ({has}), so it limits nothing"
    if request.shm_bytes is not None and request.shm_bytes > min(request.memory_bytes or memory_bytes, memory_bytes):
        yield (
            f"shm-size: {size_text(request.shm_bytes)} is more than the memory there is; "
            "what is written to /dev/shm counts as memory"
        )
