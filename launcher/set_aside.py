"""The old container waits, stopped and under another name, until its replacement was usable: no failure loses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from launcher import labels
from launcher.context import Context
from launcher.engine import Container, Engine
from launcher.environments import from_container
from launcher.errors import LauncherError
from launcher.gpu_holders import start_with_gpus
from launcher.interrupt import uninterrupted


@contextmanager
def set_aside(context: Context, existing: Container, share: bool) -> Iterator[None]:
    """In the block the container's name, port and GPUs are free; afterwards it is removed, or back where it was.

    `share`: it may be started again though another environment holds its GPUs.
    """
    engine, name = context.engine, existing.name
    aside = labels.set_aside_name(name)
    try:
        with uninterrupted():
            engine.rename(name, aside)
            if existing.state != "exited":
                engine.stop(aside)
        yield
    except BaseException:
        with uninterrupted():
            _put_back(context, existing, share)
        raise
    with uninterrupted():
        engine.remove(aside)


def _put_back(context: Context, existing: Container, share: bool) -> None:
    engine, name = context.engine, existing.name
    if engine.container(labels.set_aside_name(name)) is None:
        return
    engine.remove(name)
    engine.rename(labels.set_aside_name(name), name)
    shown = from_container(existing).name
    if existing.state in ("exited", "created", "dead"):
        context.progress.say(f"{shown} is as it was before")
        return
    try:
        start_with_gpus(engine, name, from_container(existing).gpus, share)
        context.progress.say(f"{shown} runs again with its old settings")
    except LauncherError as error:
        context.progress.say(f"{shown} is there with its old settings, but stopped: {error.cause}")


def recover(engine: Engine, name: str) -> None:
    """After a launcher that was killed between the two: keep the replacement where it came to run, else the old one."""
    aside = labels.set_aside_name(name)
    if engine.container(aside) is None:
        return
    replacement = engine.container(name)
    if replacement is not None and replacement.state != "created":
        engine.remove(aside)
        return
    if replacement is not None:
        engine.remove(name)
    with suppress(LauncherError):
        engine.rename(aside, name)
