"""People who use docker behind the launcher's back, and verbs in the wrong state: everything is named, all repairs."""

from __future__ import annotations

import re
import signal
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from docker.errors import APIError

from tests.faults.launching import Launcher, assert_refused, engine_name
from tests.images.containers import health, past_its_start
from tests.waiting import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container


def name_of(launcher: Launcher) -> str:
    return launcher.project.name


def up(launcher: Launcher) -> dict[str, object]:
    return launcher.json("up", name_of(launcher), "--mode", "jupyter")


def state(launcher: Launcher) -> object:
    return launcher.json("status", name_of(launcher))["state"]


def answers(url: object) -> bool:
    with urllib.request.urlopen(str(url), timeout=DEADLINE_SECONDS) as response:
        return bool(response.status == 200)


def test_container_killed_by_somebody_else(shared: Launcher, docker_client: docker.DockerClient) -> None:
    url = up(shared)["url"]
    docker_client.containers.get(engine_name(name_of(shared))).kill()
    assert state(shared) == "stopped"
    assert up(shared)["url"] == url
    assert answers(url)


def test_container_removed_by_somebody_else(shared: Launcher, docker_client: docker.DockerClient) -> None:
    url = up(shared)["url"]
    docker_client.containers.get(engine_name(name_of(shared))).remove(force=True, v=True)
    assert state(shared) == "down"
    assert shared.run("down", name_of(shared)).code == 0
    assert up(shared)["url"] == url
    assert answers(url)


def test_paused_container_is_named_and_can_go_on(shared: Launcher, docker_client: docker.DockerClient) -> None:
    up(shared)
    container = docker_client.containers.get(engine_name(name_of(shared)))
    wait_until(lambda: paused(container), "the container is frozen")
    try:
        assert state(shared) == "paused"
        assert_refused(shared.run("exec", name_of(shared), "--", "true"), 3, "paused", "")
    finally:
        container.unpause()
    assert state(shared) == "running"


def paused(container: Container) -> bool:
    """Pause it; the kernel refuses while a process of it is being made, which a busy machine makes likely."""
    try:
        container.pause()
    except APIError as error:
        if "unable to freeze" not in str(error):
            raise
        return False
    return True


def test_jupyterlab_killed_inside_is_unhealthy_and_repaired(
    shared: Launcher, docker_client: docker.DockerClient
) -> None:
    url = up(shared)["url"]
    container = docker_client.containers.get(engine_name(name_of(shared)))
    wait_until(lambda: past_its_start(container) and health(container) == "healthy", "ten healthy seconds")
    assert shared.run("exec", name_of(shared), "--", "pkill", "-KILL", "-f", "/jupyter-lab").code == 0
    assert state(shared) == "unhealthy"
    assert up(shared)["url"] == url
    assert answers(url)


def test_stopped_environment_says_how_to_start_it(shared: Launcher, docker_client: docker.DockerClient) -> None:
    up(shared)
    name = name_of(shared)
    assert shared.run("stop", name).code == 0
    assert shared.run("stop", name).code == 0
    for verb in (("exec", name, "--", "true"), ("url", name), ("shell", name)):
        assert_refused(shared.run(*verb), 3, "is stopped", f"launcher start {name}")
    assert shared.run("logs", name).code == 0
    assert shared.run("start", name).code == 0
    assert shared.run("exec", name, "--", "true").code == 0


def test_environment_that_is_down_says_how_to_make_it_again(
    shared: Launcher, docker_client: docker.DockerClient
) -> None:
    url = up(shared)["url"]
    name = name_of(shared)
    assert shared.run("down", name).code == 0
    for verb in (("exec", name, "--", "true"), ("url", name), ("logs", name), ("start", name)):
        assert_refused(shared.run(*verb), 3, "is down", f"launcher up {name} --mode jupyter")
    stopped = shared.run("stop", name)
    assert (stopped.code, "is stopped" in stopped.stderr) == (0, False)
    assert state(shared) == "down"
    assert up(shared)["url"] == url


def test_name_that_is_taken(shared: Launcher, docker_client: docker.DockerClient, tmp_path: Path) -> None:
    up(shared)
    name = name_of(shared)
    assert_refused(shared.run("up", name, "--mode", "jupyter", cwd=tmp_path), 4, "exists already", "another name")
    assert_refused(shared.run("up", name, "--mode", "ssh"), 4, "exists already", "another name")
    assert_refused(shared.run("up", name, "--mode", "jupyter", "--port", "1025"), 4, r"port: \d+ -> 1025", "--yes")
    assert state(shared) == "running"


def test_rm_asks_first_and_deletes_nothing_when_nobody_answers(
    shared: Launcher, docker_client: docker.DockerClient
) -> None:
    up(shared)
    name = name_of(shared)
    assert_refused(shared.run("rm", name), 2, "Nobody is there", f"launcher rm {name} --yes")
    assert_refused(shared.run("rm", name, stdin="yes\n"), 2, "Nobody is there", "--yes")
    assert state(shared) == "running"


def test_interrupt_ends_a_followed_log_quietly(shared: Launcher, docker_client: docker.DockerClient) -> None:
    up(shared)
    process = shared.start("logs", name_of(shared), "--follow")
    assert process.stdout is not None and process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, stderr) == (130, "")


def test_listing_into_a_closed_pipe(shared: Launcher, docker_client: docker.DockerClient) -> None:
    up(shared)
    for script in ('set -o pipefail; "$@" | head -0', '"$@" >&-'):
        done = shared.run("ls", before=["bash", "-c", script, "bash"])
        assert (done.code, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (("--data", "bad.npz"), None, "bad.npz"),
        (("--data", "missing.npz"), None, "missing.npz"),
        (("--synthetic", "--device", "cuda"), None, "[Cc][Uu][Dd][Aa]"),
        (("--no-such-option",), 2, "no-such-option"),
    ],
)
def test_trainer_failures_are_passed_on(
    shared: Launcher, docker_client: docker.DockerClient, arguments: tuple[str, ...], code: int | None, cause: str
) -> None:
    up(shared)
    done = shared.run("train", "--skip-check", "--", *arguments)
    assert done.code != 0
    assert code is None or done.code == code
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-2:]
    assert len(last) == 2, done.stderr
    assert "next:" in last[1], done.stderr
    assert re.search(cause, last[0]), done.stderr
