"""`launcher up --mode jupyter` for real: engine, image, JupyterLab, a kernel."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import docker
import pytest

from tests.conftest import RunLauncher
from tests.end_to_end.environment import Started, get, project_of
from tests.images.containers import past_its_start
from tests.waiting import eventually

RESULT_KEYS = {
    *("name", "mode", "state", "device", "device_reason", "gpu_verified", "gpus", "url", "ssh", "remote"),
    *("image", "container_id", "phases"),
}


def token_of(started: Started) -> str:
    return parse_qs(urlsplit(started.result["url"]).query)["token"][0]


def base_of(started: Started) -> str:
    return f"http://127.0.0.1:{urlsplit(started.result['url']).port}"


def test_the_printed_url_works_and_nobody_gets_in_without_the_token(shared_jupyter: Started) -> None:
    assert get(shared_jupyter.result["url"])[0] == 200
    authorization = {"Authorization": f"token {token_of(shared_jupyter)}"}
    assert get(f"{base_of(shared_jupyter)}/api/contents", authorization)[0] == 200
    assert get(f"{base_of(shared_jupyter)}/api/contents")[0] == 403
    assert get(f"{base_of(shared_jupyter)}/api/contents", {"Authorization": "token wrong"})[0] == 403


def test_a_foreign_host_name_is_refused(shared_jupyter: Started) -> None:
    """DNS rebinding: a web page that resolves to 127.0.0.1 must not reach the server."""
    headers = {"Authorization": f"token {token_of(shared_jupyter)}", "Host": "evil.example"}
    assert get(f"{base_of(shared_jupyter)}/api/contents", headers)[0] == 403


def test_the_result_has_the_documented_keys(shared_jupyter: Started) -> None:
    assert set(shared_jupyter.result) >= RESULT_KEYS
    assert shared_jupyter.result["device"] == "cpu" and shared_jupyter.result["gpu_verified"] is False
    assert re.match(r"Device: CPU \(.+\)", shared_jupyter.stderr.splitlines()[0])


def test_the_container_has_no_privileges(shared_jupyter: Started, docker_client: docker.DockerClient) -> None:
    container = docker_client.containers.get(shared_jupyter.result["container_id"])
    status = container.exec_run(["cat", "/proc/1/status"]).output.decode()
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert found["CapEff"] == "0" * 16 and found["NoNewPrivs"] == "1" and found["Seccomp"] == "2"
    assert set(found["Uid"].split()) == {"1234"}
    host = container.attrs["HostConfig"]
    assert host["Privileged"] is False and host["ReadonlyRootfs"] is True and not host["Devices"]
    bindings = container.attrs["NetworkSettings"]["Ports"]["8888/tcp"]
    assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]


def test_the_token_is_in_no_place_where_others_look(
    shared_jupyter: Started, docker_client: docker.DockerClient
) -> None:
    container = docker_client.containers.get(shared_jupyter.result["container_id"])
    token = token_of(shared_jupyter)
    assert token not in json.dumps(container.attrs)
    assert token not in container.logs().decode()
    assert token not in str(container.top(ps_args="axwwe"))
    history = docker_client.api.history(container.attrs["Image"])
    assert token not in json.dumps(history)


def test_files_belong_to_the_caller(shared_jupyter: Started, docker_client: docker.DockerClient) -> None:
    container = docker_client.containers.get(shared_jupyter.result["container_id"])
    assert container.exec_run(["touch", "/workspace/made-inside"]).exit_code == 0
    made = shared_jupyter.project / "made-inside"
    assert (made.stat().st_uid, made.stat().st_gid) == (1234, 1234)
    for path in ("/home/user", "/cache", "/data"):
        assert container.exec_run(["stat", "-c", "%u", path]).output.decode().strip() == "1234", path


def test_again_is_the_same_url_at_once(shared_jupyter: Started, shared_launcher: Callable[..., object]) -> None:
    again = shared_launcher("up", shared_jupyter.name, "--mode", "jupyter", "--json", cwd=shared_jupyter.project)
    assert json.loads(again.stdout)["url"] == shared_jupyter.result["url"]  # type: ignore[attr-defined]
    assert json.loads(again.stdout)["container_id"] == shared_jupyter.result["container_id"]  # type: ignore[attr-defined]


def test_stop_start_down_and_rm_do_what_they_say(
    up: Callable[..., Started], run_launcher: RunLauncher, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    project = project_of(tmp_path / "project", 1234)
    started = up("jupyter", project=project)
    url = started.result["url"]

    def state() -> str:
        return str(json.loads(run_launcher("status", started.name, "--json").stdout)["state"])

    assert state() == "running"
    assert run_launcher("stop", started.name).code == 0 and state() == "stopped"
    assert run_launcher("url", started.name).code == 3
    assert run_launcher("start", started.name).stdout.strip() == url and get(url)[0] == 200
    assert run_launcher("down", started.name).code == 0 and state() == "down"
    assert run_launcher("down", started.name).code == 0
    again = up("jupyter", project=project, name=started.name)
    assert again.result["url"] == url and get(url)[0] == 200
    assert run_launcher("rm", started.name).code == 2
    removed = run_launcher("rm", started.name, "--yes")
    assert removed.code == 0 and f"gl-0-{started.name}-home" in removed.stderr
    left = docker_client.containers.list(all=True, filters={"label": f"gpu-launcher.name={started.name}"})
    left += docker_client.volumes.list(filters={"label": f"gpu-launcher.name={started.name}"})
    left += docker_client.networks.list(names=[f"gl-0-{started.name}"])
    assert left == []


def test_a_killed_jupyterlab_is_noticed_and_repaired(
    up: Callable[..., Started], run_launcher: RunLauncher, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    project = project_of(tmp_path / "project", 1234)
    started = up("jupyter", project=project)
    container = docker_client.containers.get(started.result["container_id"])
    assert eventually(lambda: past_its_start(container))
    assert container.exec_run(["pkill", "-KILL", "-f", "jupyter"]).exit_code == 0

    def unhealthy() -> bool:
        container.reload()
        return bool(container.attrs["State"]["Health"]["Status"] == "unhealthy")

    assert eventually(unhealthy)
    listed = json.loads(run_launcher("ls", "--json").stdout)["environments"]
    assert [e["state"] for e in listed if e["name"] == started.name] == ["unhealthy"]
    repaired = up("jupyter", project=project, name=started.name)
    assert repaired.result["url"] == started.result["url"] and get(repaired.result["url"])[0] == 200


@pytest.mark.parametrize("uid", [1000, 1000055])
def test_any_uid(up: Callable[..., Started], run_launcher: RunLauncher, uid: int) -> None:
    started = up("jupyter", uid=uid)
    inside = run_launcher("exec", started.name, "--", "sh", "-c", "id -u; id -un; echo $HOME; touch /workspace/x ~/y")
    assert inside.stdout.split() == [str(uid), "user", "/home/user"], inside.stderr
    assert (started.project / "x").stat().st_uid == uid


def test_roots_own_project_runs_as_root_without_capabilities(
    up: Callable[..., Started], run_launcher: RunLauncher
) -> None:
    started = up("jupyter", uid=0)
    assert "runs as root without capabilities" in started.stderr
    inside = run_launcher("exec", started.name, "--", "grep", "CapEff", "/proc/self/status")
    assert inside.stdout.split() == ["CapEff:", "0" * 16]


def test_installed_packages_survive_and_torch_stays_the_images(
    up: Callable[..., Started], run_launcher: RunLauncher, tmp_path: Path
) -> None:
    project = project_of(tmp_path / "project", 1234)
    started = up("jupyter", project=project)
    installed = run_launcher("exec", started.name, "--", "pip", "install", "--quiet", "iniconfig")
    assert installed.code == 0, installed.stderr
    assert run_launcher("down", started.name).code == 0
    up("jupyter", project=project, name=started.name)
    program = "import iniconfig, torch; print(iniconfig.__file__, torch.__file__)"
    package, torch = run_launcher("exec", started.name, "--", "python", "-c", program).stdout.split()
    assert package.startswith("/home/user/") and torch.startswith("/usr/local/lib/")


def test_extra_mounts_are_there_and_read_only_holds(
    up: Callable[..., Started], run_launcher: RunLauncher, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "sample").write_text("1")
    started = up("jupyter", "--mount", f"{data}:/mnt/set:ro", "-e", "GREETING=hello 'world' \"$HOME\" ü")
    command = 'cat /mnt/set/sample; touch /mnt/set/new 2>/dev/null || echo refused; printf %s "$GREETING"'
    inside = run_launcher("exec", started.name, "--", "sh", "-c", command)
    assert inside.stdout == "1refused\nhello 'world' \"$HOME\" ü"
