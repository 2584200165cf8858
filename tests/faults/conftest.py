"""A launcher in a project directory of its own, and proof that a refused run changed nothing."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.launching import Launcher, digests

if TYPE_CHECKING:
    import docker


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one file, in a directory whose name is this test's alone."""
    directory = tmp_path / f"fault-{secrets.token_hex(3)}"
    directory.mkdir()
    (directory / "work.py").write_text("precious = 1\n")
    return directory


@pytest.fixture
def launcher(project: Path, user_directories: Path) -> Iterator[Launcher]:
    """The user's files are compared afterwards: no run of these tests may change one."""
    before = digests(project)
    yield Launcher(project)
    assert digests(project) == before


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A directory that every uid may enter and write, unlike pytest's own."""
    directory = Path(tempfile.mkdtemp(prefix="fault-"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def on_engine(client: docker.DockerClient) -> set[str]:
    """Every container, network and volume with `fault-` in its name."""
    containers = {f"container {c.name} {c.id}" for c in client.containers.list(all=True, ignore_removed=True)}
    found = containers | {f"network {n.name}" for n in client.networks.list()}
    found |= {f"volume {v.name}" for v in client.volumes.list()}
    return {thing for thing in found if "fault-" in thing}


@pytest.fixture
def engine(docker_client: docker.DockerClient) -> Iterator[docker.DockerClient]:
    """The real engine; after the test it holds what it held before, of everything named fault-."""
    before = on_engine(docker_client)
    yield docker_client
    assert on_engine(docker_client) == before


@pytest.fixture(scope="module")
def shared(
    docker_client: docker.DockerClient, jupyter_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Launcher]:
    """One running JupyterLab environment; its name is its project's. Tests leave it as they like: `up` repairs it."""
    home = tmp_path_factory.mktemp("home")
    project = tmp_path_factory.mktemp("projects") / f"fault-{secrets.token_hex(3)}"
    project.mkdir()
    (project / "bad.npz").write_bytes(b"PK\x03\x04 this is no archive")
    environ = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    launcher = Launcher(project, environ)
    before = digests(project)
    yield launcher
    done = launcher.run("rm", project.name, "--yes")
    assert done.code == 0, done
    assert digests(project) == before
