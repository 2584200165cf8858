"""Waiting until an environment can be used, not until a process exists."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from envcheck.explain import explain_text
from launcher.engine import Container, Engine
from launcher.errors import LauncherError, NotReadyError, TimedOutError

POLL_SECONDS = 0.05
STATE_SECONDS = 0.5
DEADLINE_SECONDS = 120.0
LOG_LINES = 15


def wait_until_usable(
    engine: Engine, name: str, usable: Callable[[], bool], deadline: float = DEADLINE_SECONDS
) -> None:
    """Return when `usable` says so.

    Raises NotReadyError as soon as the container has stopped, TimedOutError after `deadline` seconds; both carry
    the container's last log lines, and the cause that these show.
    """
    started = looked = time.monotonic()
    while not usable():
        now = time.monotonic()
        if now - looked >= STATE_SECONDS:
            looked = now
            stopped = _why_stopped(engine.container(name))
            if stopped:
                raise _with_logs(NotReadyError(stopped, "The lines above are its log."), engine, name)
        if now - started > deadline:
            slow = TimedOutError(
                f"the environment did not answer within {deadline:.0f} s", "The lines above are its log."
            )
            raise _with_logs(slow, engine, name)
        time.sleep(POLL_SECONDS)


def _why_stopped(container: Container | None) -> str | None:
    if container is None:
        return "the container was removed while it started"
    if container.oom_killed:
        return "the container ran out of memory"
    if container.state in ("exited", "dead") or container.restarts:
        return f"the container stopped with exit code {container.exit_code} while it started"
    return None


def _with_logs(error: LauncherError, engine: Engine, name: str) -> LauncherError:
    """The error with what the log shows to be its cause, where envcheck's catalogue knows it."""
    with suppress(LauncherError):
        error.log = engine.logs(name, LOG_LINES)
    match = next(iter(explain_text(error.log)), None)
    if match is not None:
        error.cause_id, error.next_step = match.cause, match.fix[0]
    return error
