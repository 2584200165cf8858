"""JupyterLab in the hardened container: usable, closed to others, watched."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.end_to_end.jupyter_session import JupyterSession
from tests.images.containers import UIDS, StartContainer, health, past_its_start, port_of, run_in, wait_healthy
from tests.waiting import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

TOKEN_PATH = "/run/gpu-launcher/token"


def base_url(container: Container) -> str:
    return f"http://127.0.0.1:{port_of(container, 8888)}"


def token_of(container: Container) -> str:
    return run_in(container, "cat", TOKEN_PATH)


def get(container: Container, path: str, **options: Any) -> int:
    return requests.get(
        base_url(container) + path, timeout=DEADLINE_SECONDS, allow_redirects=False, **options
    ).status_code


@pytest.mark.parametrize("uid", [*UIDS, 0])
def test_healthy_and_closed_without_the_token_for_any_uid(start_jupyter: StartContainer, uid: int) -> None:
    container = start_jupyter(uid)
    wait_healthy(container)
    token = token_of(container)
    assert len(token) == 64
    assert token.strip() == token
    assert get(container, f"/lab?token={token}") == 200
    assert get(container, f"/api/contents?token={token}") == 200
    assert get(container, "/api/contents") == 403
    assert get(container, f"/api/contents?token={token}", headers={"Host": "evil.example"}) == 403
    status = run_in(container, "cat", "/proc/1/status")
    wanted = {"CapEff": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}
    assert {name: status.split(f"{name}:")[1].split()[0] for name in wanted} == wanted
    assert run_in(container, "stat", "-c", "%u %a", TOKEN_PATH).split() == [str(uid), "400"]


def test_a_cell_runs_in_a_real_kernel_and_finds_torch(start_jupyter: StartContainer) -> None:
    container = start_jupyter()
    wait_healthy(container)
    described = json.loads(run_in(container, "cat", "/etc/gpu-launcher/image.json"))
    code = (
        "import os, sys, torch\nprint(torch.__version__, sys.prefix == os.environ['VIRTUAL_ENV'], os.environ['PATH'])"
    )
    session = JupyterSession(base_url(container), token_of(container))
    version, in_venv, path = session.run_cell(code).split()
    assert version == described["torch"]
    assert in_venv == "True"
    assert path == run_in(container, "printenv", "PATH").strip()


def test_the_token_shows_nowhere(
    start_jupyter: StartContainer, docker_client: docker.DockerClient, jupyter_image: str
) -> None:
    container = start_jupyter()
    wait_healthy(container)
    token = token_of(container)
    requests.get(f"{base_url(container)}/lab?token={token}", timeout=DEADLINE_SECONDS)
    places = {
        "inspect": json.dumps(container.attrs),
        "logs": container.logs().decode(),
        "processes": json.dumps(container.top(ps_args="axwwe")),
        "host processes": subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout,
        "environment": run_in(container, "cat", "/run/gpu-launcher/environment"),
        "history": json.dumps(docker_client.images.get(jupyter_image).history()),
    }
    assert [name for name, text in places.items() if token in text] == []


def test_a_token_file_with_a_trailing_newline_still_logs_in(start_jupyter: StartContainer, tmp_path: Path) -> None:
    """JupyterLab itself would take the newline as part of the token."""
    given = tmp_path / "token"
    given.write_text("0123456789abcdef0123456789abcdef\n")
    given.chmod(0o644)
    tmp_path.chmod(0o755)
    container = start_jupyter(
        volumes={str(given): {"bind": "/run/secrets/token", "mode": "ro"}},
        environment={"LAUNCHER_TOKEN_FILE": "/run/secrets/token"},
    )
    wait_healthy(container)
    assert get(container, f"/api/contents?token={given.read_text().strip()}") == 200
    assert "docker exec" not in container.logs().decode()


def test_unhealthy_when_killed_and_other_work_lives_on(start_jupyter: StartContainer) -> None:
    container = start_jupyter()
    wait_healthy(container)
    wait_until(lambda: past_its_start(container), "running for ten seconds")
    run_in(container, "bash", "-c", "kill -KILL $(cat /run/gpu-launcher/service.pid)")
    wait_until(lambda: health(container) == "unhealthy", "unhealthy")
    assert "the container stays up" in container.logs().decode()
    container.restart(timeout=5)
    wait_healthy(container)


def test_the_same_token_after_a_restart(start_jupyter: StartContainer) -> None:
    container = start_jupyter()
    wait_healthy(container)
    before = token_of(container)
    container.restart(timeout=5)
    wait_healthy(container)
    assert token_of(container) == before
