"""Engines that are not there, refuse, hang or talk nonsense."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.faults.launching import ANSWERS, Launcher, assert_refused, socket_server

UP = ("up", "--mode", "jupyter")


@pytest.mark.parametrize("value", ["foo", "ftp://host", "unix://", "://", "tcp:/host"])
def test_docker_host_that_is_no_address(launcher: Launcher, value: str) -> None:
    for verb in (UP, ("ls",)):
        assert_refused(launcher.run(*verb, environ={"DOCKER_HOST": value}), 2, "DOCKER_HOST", "unix:///var/run")


@pytest.mark.parametrize("arguments", [UP, (*UP, "--yes"), ("ls",), ("rm", "fault-x", "--yes"), ("train",)])
def test_no_engine(launcher: Launcher, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    missing = f"unix://{tmp_path / 'missing.sock'}"
    assert_refused(
        launcher.run(*arguments, environ={"DOCKER_HOST": missing}), 3, "missing.sock", "engine|launcher setup"
    )


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("arguments", [UP, ("ls",)], ids=["up", "ls"])
def test_answers_that_no_engine_gives(
    launcher: Launcher, tmp_path: Path, answer: str, arguments: tuple[str, ...]
) -> None:
    """Simulated: a program on the socket that answers every request with the same bytes."""
    path = tmp_path / "engine.sock"
    with socket_server(path, ANSWERS[answer]):
        done = launcher.run(*arguments, environ={"DOCKER_HOST": f"unix://{path}"})
    assert_refused(done, 3, "engine")


def test_engine_that_hangs(launcher: Launcher, tmp_path: Path) -> None:
    """Simulated: a socket that accepts connections and says nothing."""
    path = tmp_path / "engine.sock"
    with socket_server(path, None):
        done = launcher.run(*UP, environ={"DOCKER_HOST": f"unix://{path}"})
    assert_refused(done, 5, "does not answer", "restart")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user")
@pytest.mark.parametrize("arguments", [UP, ("ls",)], ids=["up", "ls"])
def test_engine_that_refuses_this_user(launcher: Launcher, public_directory: Path, arguments: tuple[str, ...]) -> None:
    before = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    home = public_directory / "home"
    work = public_directory / "work"
    work.mkdir()
    home.mkdir()
    home.chmod(0o777)
    path = public_directory / "engine.sock"
    with socket_server(path, b""):
        path.chmod(0o600)
        done = launcher.run(
            *arguments,
            cwd=work,
            before=before,
            environ={
                "DOCKER_HOST": f"unix://{path}",
                "HOME": str(home),
                "XDG_CONFIG_HOME": str(home),
                "XDG_STATE_HOME": str(home),
            },
        )
    assert_refused(done, 3, "may not use", "group docker")
    assert "sudo" not in done.stderr
