"""Containers of the real images, removed with their anonymous volumes after each test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.images.containers import HARDENED, StartContainer

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container
    from docker.models.volumes import Volume


@pytest.fixture
def volumes(docker_client: docker.DockerClient) -> Iterator[list[Volume]]:
    """Volumes to remove after the containers that use them."""
    made: list[Volume] = []
    yield made
    for volume in made:
        volume.remove(force=True)


@pytest.fixture
def volume(docker_client: docker.DockerClient, volumes: list[Volume]) -> str:
    """Name of a fresh volume."""
    made = docker_client.volumes.create()
    volumes.append(made)
    return str(made.name)


@pytest.fixture
def start_container(docker_client: docker.DockerClient, volumes: list[Volume]) -> Iterator[StartContainer]:
    """Call: start_container(image, command=None, uid=1000, **docker options). Hardened; ports on loopback only."""
    started: list[Container] = []

    def start(image: str, command: str | list[str] | None = None, uid: int = 1000, **options: Any) -> Container:
        container = docker_client.containers.create(image, command, **{"user": f"{uid}:{uid}", **HARDENED, **options})
        started.append(container)
        container.start()
        return container

    yield start
    for container in started:
        container.remove(force=True, v=True)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A client key; the public one lies beside it."""
    path = tmp_path_factory.mktemp("key") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture
def start_ssh(start_container: StartContainer, ssh_image: str, key: Path) -> StartContainer:
    """Call: start_ssh(uid=1000, **docker options): a container that `key` may log in to."""

    def start(uid: int = 1000, **options: Any) -> Container:
        public = {str(key.with_suffix(".pub")): {"bind": "/run/secrets/authorized_keys", "mode": "ro"}}
        options["volumes"] = {**public, **options.get("volumes", {})}
        return start_container(ssh_image, uid=uid, ports={"2222/tcp": ("127.0.0.1", None)}, **options)

    return start


@pytest.fixture
def start_jupyter(start_container: StartContainer, jupyter_image: str) -> StartContainer:
    """Call: start_jupyter(uid=1000, **docker options)."""

    def start(uid: int = 1000, **options: Any) -> Container:
        return start_container(jupyter_image, uid=uid, ports={"8888/tcp": ("127.0.0.1", None)}, **options)

    return start
