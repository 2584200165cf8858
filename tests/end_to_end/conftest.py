"""Tests of the whole launcher on an engine of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT, RunLauncher, lacking
from tests.end_to_end import private_image
from tests.end_to_end.environment import Started, Up, new_name, project_of, started_from
from tests.end_to_end.machines import (
    Launch,
    Run,
    compile_driver,
    compile_nvml,
    compiled,
    machine,
    offer_gpus,
    withdraw_gpus,
)
from tests.end_to_end.private_engine import PrivateEngine, cache_directory
from tests.end_to_end.private_engine import private_engine as running_private_engine
from tests.end_to_end.private_machine import or_lacking
from tests.services import UnavailableError

if TYPE_CHECKING:
    import docker

LaunchShared = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "private_engine" in getattr(item, "fixturenames", ()):
            item.add_marker("docker")


@pytest.fixture(scope="session")
def private_engine() -> Iterator[PrivateEngine]:
    """A throw-away engine >= 28 with CDI and no image; stopped and emptied of containers at the end."""
    with or_lacking(running_private_engine(cache_directory(os.environ)), "no private engine") as engine:
        yield engine


@pytest.fixture(scope="session")
def private_jupyter_image(private_engine: PrivateEngine, request: pytest.FixtureRequest) -> str:
    """Reference of the current jupyter image on the private engine."""
    if not private_image.is_current(private_engine):
        for image in ("jupyter_image", "ssh_image"):
            request.getfixturevalue(image)
        try:
            private_image.copy(private_engine)
        except UnavailableError as error:
            lacking(str(error))
        assert private_image.is_current(private_engine)
    return private_image.reference()


@pytest.fixture(scope="session")
def private_ssh_image(private_jupyter_image: str) -> str:
    """Reference of the current ssh image on the private engine; both are copied together."""
    return private_image.reference("ssh")


@pytest.fixture
def up(run_launcher: RunLauncher, docker_client: docker.DockerClient, tmp_path: Path) -> Iterator[Up]:
    """Start environments: up("jupyter", *more, uid=1234); everything started is removed afterwards."""
    names: list[str] = []

    def start(
        mode: str, *arguments: str, uid: int = 1234, name: str | None = None, project: Path | None = None
    ) -> Started:
        chosen = name or new_name(mode)
        names.append(chosen)
        directory = project or project_of(tmp_path / "project", uid)
        done = run_launcher("up", chosen, "--mode", mode, "--yes", "--json", *arguments, cwd=directory)
        assert done.code == 0, done.stderr
        return started_from(done.stdout, done.stderr, directory)

    yield start
    for name in dict.fromkeys(names):
        run_launcher("rm", name, "--yes")


@pytest.fixture(scope="session")
def shared_launcher(tmp_path_factory: pytest.TempPathFactory) -> LaunchShared:
    """bin/launcher with one home for all environments that tests share."""
    home = tmp_path_factory.mktemp("shared-home")

    def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")} | {"HOME": str(home)}
        argv = [str(ROOT / "bin/launcher"), *arguments]
        return subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, text=True, timeout=900)

    return run


def _shared(mode: str, launcher: LaunchShared, directory: Path) -> Iterator[Started]:
    project, name = project_of(directory, 1234), new_name(mode)
    done = launcher("up", name, "--mode", mode, "--yes", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    yield started_from(done.stdout, done.stderr, project)
    removed = launcher("rm", name, "--yes", cwd=project)
    assert removed.returncode == 0, removed.stderr


@pytest.fixture(scope="session")
def shared_jupyter(
    jupyter_image: str, shared_launcher: LaunchShared, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Started]:
    """A JupyterLab environment of uid 1234, for tests that leave it as it is."""
    yield from _shared("jupyter", shared_launcher, tmp_path_factory.mktemp("shared") / "project")


@pytest.fixture(scope="session")
def shared_ssh(
    ssh_image: str, shared_launcher: LaunchShared, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Started]:
    """An SSH environment of uid 1234, for tests that leave it as it is."""
    yield from _shared("ssh", shared_launcher, tmp_path_factory.mktemp("shared") / "project")


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Faked roots: no card; a card without driver; a card with a loaded driver module."""
    base = tmp_path_factory.mktemp("machines")
    return {
        "no card": machine(base / "none", card=False),
        "card without driver": machine(base / "card", card=True),
        "card with driver": machine(base / "driver", card=True, driver=True),
    }


@pytest.fixture(scope="session")
def launch(
    private_engine: PrivateEngine,
    private_jupyter_image: str,
    machines: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Launch:
    """Run bin/launcher for one user with one project: launch(*arguments, on="no card", environ={...})."""
    home, project = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("project")
    os.chown(project, 1000, 1000)
    # Outside the engine's network, where packages can be had.
    subprocess.run([str(ROOT / "bin/launcher"), "--version"], check=True, stdout=subprocess.DEVNULL)

    def run(*arguments: str, on: str = "no card", environ: dict[str, str] | None = None) -> Run:
        own = {"HOME": str(home), "ENVCHECK_ROOT": str(machines[on])}
        own |= {name: str(home / name) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        own |= environ or {}
        done = private_engine.run(str(ROOT / "bin/launcher"), *arguments, environ=own, cwd=project, timeout=600)
        assert "Traceback" not in done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def spec(private_engine: PrivateEngine) -> Iterator[Callable[..., None]]:
    """Write the engine's CDI spec; it is gone after the test."""
    yield lambda **options: offer_gpus(private_engine, **options)
    withdraw_gpus(private_engine)


@pytest.fixture(scope="session")
def fake_libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled stand-in for the driver's library; what cuInit returns is set in the spec."""
    return compiled(compile_driver, tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="session")
def fake_nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled stand-in for libnvidia-ml.so.1, in a directory of its own."""
    return compiled(compile_nvml, tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def nothing_left(private_engine: PrivateEngine) -> Iterator[None]:
    """The test leaves the engine as it was."""
    before = private_engine.everything()
    yield
    assert private_engine.everything() == before
