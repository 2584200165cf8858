"""The current images on the private engine: copied from the machine's own when they are others."""

from __future__ import annotations

import os
import subprocess

from launcher.setup.build import image_reference
from launcher.setup.source import source_digest
from launcher.stacks import TARGETS, default_stack
from tests.end_to_end.private_engine import PrivateEngine, cache_directory, private_engine
from tests.services import UnavailableError


def prepare() -> None:
    """Before the first test: 8 GB written beside tests would slow down what they wait for.

    Where the engine cannot run, its own tests say so.
    """
    try:
        with private_engine(cache_directory(os.environ)) as engine:
            if not is_current(engine):
                print("Copying the images to the private engine (8 GB)", flush=True)
                copy(engine)
    except UnavailableError:
        return


def reference(target: str = "jupyter") -> str:
    """The name of an image, on both engines."""
    return image_reference(default_stack(), target, source_digest(default_stack(), target))


def is_current(engine: PrivateEngine) -> bool:
    """Whether the images there were built from the present sources."""
    template = '{{index .Config.Labels "gpu-launcher.source"}}'
    try:
        found = engine.docker("image", "inspect", "--format", template, *map(reference, TARGETS)).split()
    except subprocess.CalledProcessError:
        return False
    return found == [source_digest(default_stack(), target) for target in TARGETS]


def copy(engine: PrivateEngine) -> None:
    """`docker save | docker load`: minutes for the 8 GB that both share. Raises UnavailableError."""
    names = [reference(target) for target in TARGETS]
    with subprocess.Popen([str(engine.client), "save", *names], stdout=subprocess.PIPE) as save:
        load = subprocess.run(
            [str(engine.client), "load", "--quiet"], stdin=save.stdout, env={**os.environ, **engine.environment()}
        )
    if save.returncode or load.returncode:
        raise UnavailableError(f"{names} cannot be copied (save {save.returncode}, load {load.returncode})")
    # Those of earlier sources: nothing runs from them.
    for name in engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split():
        if name not in names:
            engine.docker("image", "rm", name)
