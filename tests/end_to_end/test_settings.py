"""Settings on the real engine: limits as `docker inspect` shows them; an environment made anew lost nothing."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tests.conftest import RunLauncher
from tests.end_to_end.environment import Started, Up, get

if TYPE_CHECKING:
    import docker


def inspected(client: docker.DockerClient, started: Started) -> Any:
    return client.containers.get(f"gl-{os.getuid()}-{started.name}").attrs


def test_limits_are_exact_in_inspect_and_one_environment_stays_itself_when_they_change(
    docker_client: docker.DockerClient, jupyter_image: str, up: Up, run_launcher: RunLauncher
) -> None:
    limits = ("--memory", "1g", "--cpus", "0.5", "--shm-size", "64m", "--pids", "512", "--restart", "on-failure")
    first = up("jupyter", *limits, "-e", "KEPT=a b $c")
    config = inspected(docker_client, first)["HostConfig"]
    assert (config["Memory"], config["MemorySwap"], config["NanoCpus"]) == (1 << 30, 1 << 30, 500_000_000)
    assert (config["ShmSize"], config["PidsLimit"], config["RestartPolicy"]["Name"]) == (64 << 20, 512, "on-failure")
    write = ("--", "sh", "-c", "echo mine > ~/file; sleep 600 >/dev/null 2>&1 &")
    assert run_launcher("exec", first.name, *write).code == 0

    again = run_launcher("up", first.name, "--json", cwd=first.project)
    assert json.loads(again.stdout)["container_id"] == first.result["container_id"], "nothing said, nothing changed"

    (first.project / "launcher.toml").write_text('memory = "2g"\n')
    refused = run_launcher("up", first.name, "--memory", "2g", cwd=first.project)
    assert refused.code == 4 and "memory: 1g -> 2g" in refused.stderr and "  sleep 600" in refused.stderr
    assert inspected(docker_client, first)["Id"] == first.result["container_id"]

    second = up("jupyter", "--memory", "2g", "--port", str(first_port(first)), name=first.name, project=first.project)
    assert second.result["url"] == first.result["url"] and second.result["container_id"] != first.result["container_id"]
    config = inspected(docker_client, second)["HostConfig"]
    assert (config["Memory"], config["MemorySwap"], config["NanoCpus"]) == (2 << 30, 2 << 30, 500_000_000)
    assert get(second.result["url"].replace("/lab?", "/api/status?"))[0] == 200
    seen = run_launcher("exec", first.name, "--", "sh", "-c", 'cat ~/file; echo "$KEPT"')
    assert seen.stdout == "mine\na b $c\n"
    names = [container.name for container in docker_client.containers.list(all=True, filters={"name": first.name})]
    assert names == [f"gl-{os.getuid()}-{first.name}"]


def first_port(started: Started) -> int:
    return int(started.result["url"].split(":")[2].split("/")[0])


def test_where_the_new_one_does_not_start_the_old_one_is_back(
    docker_client: docker.DockerClient, jupyter_image: str, up: Up, run_launcher: RunLauncher
) -> None:
    """6 MB kill JupyterLab at once."""
    first = up("jupyter")
    failed = run_launcher("up", first.name, "--memory", "6m", "--yes", cwd=first.project)
    assert failed.code != 0 and "runs again with its old settings" in failed.stderr, failed
    assert inspected(docker_client, first)["Id"] == first.result["container_id"]
    again = run_launcher("up", first.name, "--json", cwd=first.project)
    assert json.loads(again.stdout)["url"] == first.result["url"]
    assert get(first.result["url"].replace("/lab?", "/api/status?"))[0] == 200
