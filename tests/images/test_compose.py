"""compose.yaml by the real docker compose, beside the images that `launcher build` made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.conftest import lacking
from tests.services import free_port
from tests.waiting import DEADLINE_SECONDS

if TYPE_CHECKING:
    import docker

ROOT = Path(__file__).resolve().parents[2]
Compose = Callable[..., subprocess.CompletedProcess[str]]


def compose_command() -> list[str] | None:
    """docker-compose of the test environment or of the machine, else the docker plugin."""
    beside = Path(sys.executable).with_name("docker-compose")
    found = str(beside) if beside.exists() else shutil.which("docker-compose")
    if found:
        return [found]
    plugin = ["docker", "compose"]
    try:
        done = subprocess.run([*plugin, "version"], capture_output=True, check=False)
    except OSError:
        return None
    return plugin if done.returncode == 0 else None


@pytest.fixture
def compose() -> Compose:
    """Call: compose(*arguments, **variables): the command's result; the caller's own settings do not count."""
    command = compose_command()
    if command is None:
        lacking("no docker compose here")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LAUNCHER_", "COMPOSE_"))}

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        line = [*command, "--project-directory", str(ROOT), "-f", str(ROOT / "compose.yaml"), *arguments]
        environment = {**inherited, **variables}
        return subprocess.run(line, capture_output=True, text=True, timeout=180, env=environment, check=False)

    return run


def services(compose: Compose, *options: str) -> set[str]:
    return set(compose(*options, "config", "--services").stdout.split())


def test_plain_up_is_gpu_only_and_the_cpu_profile_is_cpu_only(compose: Compose) -> None:
    assert services(compose) == {"jupyter", "ssh"}
    assert services(compose, "--profile", "cpu") == {"jupyter-cpu", "ssh-cpu"}


def configuration(compose: Compose, *options: str) -> dict[str, Any]:
    done = compose(*options, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)["services"]
    return parsed


@pytest.mark.parametrize("options", [(), ("--profile", "cpu")], ids=["gpu", "cpu"])
def test_every_service_is_hardened_and_on_loopback(compose: Compose, options: tuple[str, ...]) -> None:
    for service in configuration(compose, *options).values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert service["init"] is True
        assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}
        assert not service.get("privileged")
        assert int(service["shm_size"]) >= 2**30
        devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        assert [device["driver"] for device in devices] == ([] if options else ["nvidia"])


@pytest.fixture
def cpu_services(
    compose: Compose, docker_client: docker.DockerClient, jupyter_image: str, ssh_image: str, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """The CPU profile under a project name of its own; gives the variables it was started with."""
    token = tmp_path / "token"
    token.write_text("a-token-of-more-than-16-characters\n")
    token.chmod(0o644)
    variables = {
        "COMPOSE_PROJECT_NAME": f"gl-test-{uuid.uuid4().hex[:8]}",
        "LAUNCHER_JUPYTER_PORT": str(free_port()),
        "LAUNCHER_SSH_PORT": str(free_port()),
        "LAUNCHER_TOKEN_FILE": str(token),
        "LAUNCHER_UID": "1234",
        "LAUNCHER_GID": "1234",
    }
    tmp_path.chmod(0o755)
    try:
        up = compose("--profile", "cpu", "up", "--wait", "--no-build", **variables)
        assert up.returncode == 0, up.stderr
        yield variables
    finally:
        compose("--profile", "cpu", "down", "--volumes", "--timeout", "5", **variables)


def test_up_wait_brings_both_services_to_healthy_without_a_key(compose: Compose, cpu_services: dict[str, str]) -> None:
    listed = compose("--profile", "cpu", "ps", "--format", "json", **cpu_services).stdout
    states = {entry["Service"]: entry["Health"] for entry in map(json.loads, listed.splitlines())}
    assert states == {"jupyter-cpu": "healthy", "ssh-cpu": "healthy"}
    url = f"http://127.0.0.1:{cpu_services['LAUNCHER_JUPYTER_PORT']}/api/contents"
    token = Path(cpu_services["LAUNCHER_TOKEN_FILE"]).read_text().strip()
    assert requests.get(url, params={"token": token}, timeout=DEADLINE_SECONDS).status_code == 200
    assert requests.get(url, timeout=DEADLINE_SECONDS).status_code == 403
    log = compose("--profile", "cpu", "logs", "ssh-cpu", **cpu_services).stdout
    assert "nobody can log in yet" in log
