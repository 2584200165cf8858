"""Signals, races and people who use docker behind the launcher's back: nothing half-made stays, everything repairs."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.launching import Ended, Launcher, assert_refused, digests

if TYPE_CHECKING:
    import docker

DEADLINE_SECONDS = 60.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll until it holds; fails with `what` after the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def engine_name(name: str) -> str:
    return f"gl-{os.getuid()}-{name}"


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
    done = launcher.run("rm", name_of(launcher), "--yes")
    assert done.code == 0, done
    assert digests(project) == before


def name_of(launcher: Launcher) -> str:
    return launcher.project.name


def up(launcher: Launcher) -> dict[str, object]:
    return launcher.json("up", name_of(launcher), "--mode", "jupyter")


def state(launcher: Launcher) -> object:
    return launcher.json("status", name_of(launcher))["state"]


def answers(url: object) -> bool:
    with urllib.request.urlopen(str(url), timeout=10) as response:
        return bool(response.status == 200)


SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("phase", ["create", "ready"])
def test_signal_during_up_leaves_nothing(
    launcher: Launcher, engine: docker.DockerClient, jupyter_image: str, phase: str, number: signal.Signals
) -> None:
    name = engine_name(launcher.project.name)

    def reached() -> bool:
        if phase == "create":
            return bool(engine.networks.list(names=[name]))
        return bool(engine.containers.list(filters={"name": name, "status": "running"}))

    process = launcher.start("up", launcher.project.name, "--mode", "jupyter")
    wait_for(reached, f"{phase} of {name}")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == SIGNALS[number], stderr
    assert "Traceback" not in stderr
    assert stdout == ""


def test_second_interrupt_does_not_cut_the_clearing_short(
    launcher: Launcher, engine: docker.DockerClient, jupyter_image: str
) -> None:
    name = engine_name(launcher.project.name)
    process = launcher.start("up", launcher.project.name, "--mode", "jupyter")
    wait_for(lambda: bool(engine.containers.list(filters={"name": name, "status": "running"})), "a running container")
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr


def test_eight_at_once_under_one_name(launcher: Launcher, engine: docker.DockerClient, ssh_image: str) -> None:
    """One makes it. The others are told so (4), or find it running (0) if they came late; none makes a second."""
    name = launcher.project.name
    processes = [launcher.start("up", name, "--mode", "ssh") for _ in range(8)]
    outputs = [process.communicate(timeout=120) for process in processes]
    codes = [process.returncode for process in processes]
    try:
        assert len(engine.containers.list(all=True, filters={"name": engine_name(name)})) == 1
        assert set(codes) <= {0, 4}, outputs
        assert codes.count(0) >= 1
        for code, (stdout, stderr) in zip(codes, outputs, strict=True):
            if code == 4:
                assert_refused(Ended(code, stdout, stderr), 4, f"another `launcher up {name}` is running", "again")
        assert sum("create" in stderr for _, stderr in outputs) == 1
    finally:
        launcher.run("rm", name, "--yes")


def test_four_names_on_one_port(launcher: Launcher, engine: docker.DockerClient, ssh_image: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    names = [f"{launcher.project.name}-{letter}" for letter in "abcd"]
    processes = [launcher.start("up", name, "--mode", "ssh", "--port", port) for name in names]
    outputs = [process.communicate(timeout=120) for process in processes]
    codes = [process.returncode for process in processes]
    try:
        assert sorted(codes) == [0, 4, 4, 4], outputs
        for code, (stdout, stderr) in zip(codes, outputs, strict=True):
            if code == 4:
                assert_refused(Ended(code, stdout, stderr), 4, "port", "--port N")
        left = [c.name for c in engine.containers.list(all=True, filters={"name": launcher.project.name})]
        assert left == [engine_name(names[codes.index(0)])]
    finally:
        launcher.run("rm", names[codes.index(0)] if 0 in codes else names[0], "--yes")


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
    container.pause()
    try:
        assert state(shared) == "paused"
        assert_refused(shared.run("exec", name_of(shared), "--", "true"), 3, "paused", "")
    finally:
        container.unpause()
    assert state(shared) == "running"


def test_jupyterlab_killed_inside_is_unhealthy_and_repaired(
    shared: Launcher, docker_client: docker.DockerClient
) -> None:
    url = up(shared)["url"]
    script = "import os,pathlib,signal\n" + (
        "for p in pathlib.Path('/proc').glob('[0-9]*'):\n"
        "    if int(p.name) != os.getpid() and b'/jupyter-lab' in (p / 'cmdline').read_bytes():\n"
        "        os.kill(int(p.name), signal.SIGKILL)\n"
    )
    # Past the first seconds, in which a service that ends takes its container with it.
    container = docker_client.containers.get(engine_name(name_of(shared)))
    wait_for(lambda: seconds_up(container) > 12, "twelve seconds of running")
    assert shared.run("exec", name_of(shared), "--", "python", "-c", script).code == 0
    assert state(shared) == "unhealthy"
    assert up(shared)["url"] == url
    assert answers(url)


def seconds_up(container: docker.models.containers.Container) -> float:
    result = container.exec_run(["python3", "-c", "import os; print(os.stat('/proc/1').st_ctime)"])
    return time.time() - float(result.output)


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
    assert_refused(shared.run("up", name, "--mode", "jupyter", "--port", "1025"), 4, "already uses port", "down")
    assert state(shared) == "running"


def test_container_of_somebody_else_under_our_name(
    launcher: Launcher, engine: docker.DockerClient, jupyter_image: str
) -> None:
    name = launcher.project.name
    foreign = engine.containers.create(jupyter_image, ["true"], name=engine_name(name))
    try:
        done = launcher.run("up", name, "--mode", "jupyter")
        assert_refused(done, 4, "the launcher did not make", "another name")
        assert engine.containers.get(engine_name(name)).id == foreign.id
    finally:
        foreign.remove(v=True)


def test_rm_asks_first_and_deletes_nothing_when_nobody_answers(
    shared: Launcher, docker_client: docker.DockerClient
) -> None:
    up(shared)
    name = name_of(shared)
    assert_refused(shared.run("rm", name), 2, "Nobody is there", f"launcher rm {name} --yes")
    assert_refused(shared.run("rm", name, stdin="yes\n"), 2, "Nobody is there", "--yes")
    assert state(shared) == "running"


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


def test_project_whose_name_is_anything_but_ascii(
    engine: docker.DockerClient, ssh_image: str, tmp_path: Path, user_directories: Path
) -> None:
    project = tmp_path / "mühe: two\nlines"
    project.mkdir()
    (project / "work.py").touch()
    launcher = Launcher(project, {"LANG": "C", "LC_ALL": "C"})
    name = f"fault-{secrets.token_hex(3)}"
    try:
        launcher.json("up", name, "--mode", "ssh")
        assert launcher.run("exec", name, "--", "ls").stdout == "work.py\n"
        row = next(line for line in launcher.run("ls").stdout.splitlines() if line.startswith(name))
        assert row.endswith(r"two\nlines")
    finally:
        assert launcher.run("rm", name, "--yes").code == 0
