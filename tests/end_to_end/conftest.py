"""Tests of the whole launcher on an engine of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.end_to_end.engine_programs import UnavailableError
from tests.end_to_end.private_engine import PrivateEngine, cache_directory, private_engine as running_private_engine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "private_engine" in getattr(item, "fixturenames", ()):
            item.add_marker("docker")


@pytest.fixture(scope="session")
def private_engine() -> Iterator[PrivateEngine]:
    """A throw-away engine >= 28 with CDI and no image; stopped and emptied of containers at the end."""
    started = False
    try:
        with running_private_engine(cache_directory(os.environ)) as engine:
            started = True
            yield engine
    except UnavailableError as error:
        if started:
            raise
        lacking(f"no private engine: {error}")


@pytest.fixture(scope="session")
def compose_command(private_engine: PrivateEngine) -> tuple[str, ...]:
    """`docker compose` of the private engine's version; run it with PrivateEngine.run."""
    return (str(private_engine.client), "compose")


@pytest.fixture(scope="session")
def private_jupyter_image(private_engine: PrivateEngine, request: pytest.FixtureRequest) -> str:
    """Reference of the current jupyter image on the private engine, copied from the main one when it is another."""
    from launcher.setup.build import image_reference
    from launcher.setup.source import source_digest
    from launcher.stacks import default_stack

    stack = default_stack()
    reference = image_reference(stack, "jupyter")
    source = source_digest(stack, "jupyter")
    if _source_of(private_engine, reference) != source:
        copy_image(private_engine, request.getfixturevalue("jupyter_image"))
        assert _source_of(private_engine, reference) == source
    return reference


def _source_of(engine: PrivateEngine, reference: str) -> str | None:
    try:
        template = '{{index .Config.Labels "gpu-launcher.source"}}'
        return engine.docker("image", "inspect", "--format", template, reference)
    except subprocess.CalledProcessError:
        return None


def copy_image(engine: PrivateEngine, reference: str) -> None:
    """`docker save | docker load` from the machine's engine: minutes for 8 GB, so only when it changed."""
    with subprocess.Popen([str(engine.client), "save", reference], stdout=subprocess.PIPE) as save:
        load = subprocess.run(
            [str(engine.client), "load", "--quiet"], stdin=save.stdout, env={**os.environ, **engine.environment()}
        )
    if save.returncode or load.returncode:
        lacking(f"{reference} cannot be copied to the private engine (save {save.returncode}, load {load.returncode})")
    # The image that carried the name before: nothing runs from it.
    engine.docker("image", "prune", "--force")


@pytest.fixture
def outside_the_checkout(tmp_path: Path) -> Path:
    """A project directory that belongs to an ordinary user."""
    project = tmp_path / "project"
    project.mkdir()
    os.chown(project, 1000, 1000)
    return project
