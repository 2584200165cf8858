"""Many environments, on the machine's own engine."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launcher import labels
from launcher.endpoint import resolve_endpoint
from tests.conftest import RunLauncher
from tests.end_to_end.counting_proxy import counting_proxy
from tests.end_to_end.environment import project_of

if TYPE_CHECKING:
    import docker

AT_ONCE = 8


@pytest.fixture
def twenty_more(docker_client: docker.DockerClient) -> Iterator[list[str]]:
    """Simulated environments that are down: volumes with an environment's labels, which is all `ls` goes by then."""
    names = [f"test-{secrets.token_hex(4)}" for _ in range(20)]
    owned = {labels.ROLE: labels.ROLE_ENVIRONMENT, labels.MODE: "ssh", labels.PORT: "0", labels.OWNER: str(os.getuid())}
    made = [docker_client.volumes.create(f"gl-{name}", labels=owned | {labels.NAME: name}) for name in names]
    yield names
    for volume in made:
        volume.remove()


def asked(run_launcher: RunLauncher, *command: str) -> tuple[list[str], str]:
    """What a command asks the engine, and what it prints."""
    target = resolve_endpoint(os.environ).url.removeprefix("unix://")
    # A socket's path may have 107 bytes, fewer than a test's directory.
    with tempfile.TemporaryDirectory() as name, counting_proxy(Path(name), target) as proxy:
        done = run_launcher(*command, environ={"DOCKER_HOST": proxy.url})
        assert done.code == 0, done.stderr
        return proxy.requests, done.stdout


@pytest.mark.parametrize("verb", ["ls", "gpus"])
def test_twenty_environments_more_cost_no_request_more(
    run_launcher: RunLauncher, request: pytest.FixtureRequest, docker_client: docker.DockerClient, verb: str
) -> None:
    before, _ = asked(run_launcher, verb, "--json")
    names = request.getfixturevalue("twenty_more")
    after, printed = asked(run_launcher, verb, "--json")
    assert sorted(after) == sorted(before)
    assert {"ls": "/volumes", "gpus": "/info"}[verb] in after, after
    if verb == "ls":
        assert set(names) <= {row["name"] for row in json.loads(printed)["environments"]}


def test_another_users_environment_is_listed_without_the_place_of_their_work(
    run_launcher: RunLauncher, docker_client: docker.DockerClient
) -> None:
    """Simulated: a volume with the labels of another user's environment that is down."""
    name = f"test-{secrets.token_hex(4)}"
    values = {labels.ROLE: labels.ROLE_ENVIRONMENT, labels.NAME: name, labels.OWNER: "424242", labels.MODE: "ssh"}
    volume = docker_client.volumes.create(f"gl-{name}", labels=values | {labels.PROJECT: "/home/alice/secret-plan"})
    try:
        listed = json.loads(run_launcher("ls", "--all", "--json").stdout)["environments"]
        assert [row["project"] for row in listed if row["name"] == name] == [None]
        shown = run_launcher("ls", "--all").stdout
        assert name in shown and "secret-plan" not in shown
        assert run_launcher("heal", name, "--json").code == 4
    finally:
        volume.remove()


@pytest.mark.usefixtures("ssh_image")
def test_eight_environments_started_at_once_all_come_up(
    run_launcher: RunLauncher, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    project = project_of(tmp_path / "project", 1234)
    names = [f"test-{secrets.token_hex(3)}-ssh" for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            started = pool.map(
                lambda name: run_launcher("up", name, "--mode", "ssh", "--gpus", "none", "--json", cwd=project), names
            )
            done = list(started)
            assert [one.code for one in done] == [0] * AT_ONCE, [one.stderr for one in done if one.code]
            results = [json.loads(one.stdout) for one in done]
            assert {result["state"] for result in results} == {"running"}
            assert len({result["port"] for result in results}) == AT_ONCE
        finally:
            removed = list(pool.map(lambda name: run_launcher("rm", name, "--yes"), names))
    assert [one.code for one in removed] == [0] * AT_ONCE, [one.stderr for one in removed if one.code]
    left = docker_client.containers.list(all=True, ignore_removed=True)
    assert not {container.name for container in left} & {f"gl-{os.getuid()}-{name}" for name in names}
