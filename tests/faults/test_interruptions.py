"""Signals and races: nothing half-made stays, and only one of several wins."""

from __future__ import annotations

import secrets
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.launching import Ended, Launcher, assert_refused, engine_name
from tests.waiting import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    import docker

# So slow that the signal comes before JupyterLab answers.
SLOW_START = ("--mode", "jupyter", "--cpus", "0.2")
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

    process = launcher.start("up", launcher.project.name, *SLOW_START)
    wait_until(reached, f"{phase} of {name}", 0.01)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == SIGNALS[number], stderr
    assert "Traceback" not in stderr
    assert stdout == ""


def test_second_interrupt_does_not_cut_the_clearing_short(
    launcher: Launcher, engine: docker.DockerClient, jupyter_image: str
) -> None:
    name = engine_name(launcher.project.name)
    process = launcher.start("up", launcher.project.name, *SLOW_START)
    running = {"name": name, "status": "running"}
    wait_until(lambda: engine.containers.list(filters=running), "a running container", 0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr


def test_eight_at_once_under_one_name(launcher: Launcher, engine: docker.DockerClient, ssh_image: str) -> None:
    """One makes it. The others are told so (4), or find it running (0) if they came late; none makes a second."""
    name = launcher.project.name
    processes = [launcher.start("up", name, "--mode", "ssh") for _ in range(8)]
    outputs = [process.communicate(timeout=DEADLINE_SECONDS) for process in processes]
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
    outputs = [process.communicate(timeout=DEADLINE_SECONDS) for process in processes]
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
