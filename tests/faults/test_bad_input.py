"""What careless people type: refused in two lines with the documented exit code, before the engine hears of it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.launching import Ended, Launcher, SocketServer, assert_refused, digests, socket_server

UP = ("up", "--mode", "jupyter")


@pytest.fixture
def untouched_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketServer]:
    """Simulated: a socket in the engine's place. A run that is refused in time never calls it."""
    with socket_server(tmp_path / "engine.sock", b"") as server:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'engine.sock'}")
        yield server
        assert server.calls == 0


@pytest.fixture
def places(tmp_path: Path, user_directories: Path) -> dict[str, str]:
    """Paths that people give by mistake."""
    (tmp_path / "file").write_text("not a directory")
    (tmp_path / "root").symlink_to("/")
    (tmp_path / "home").symlink_to(user_directories)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "docker.sock").touch()
    (tmp_path / "data").mkdir()
    return {"tmp": str(tmp_path), "home": str(user_directories)}


REFUSED = {
    "no mode": (("up",), "--mode", "--help"),
    "unknown mode": (("up", "--mode", "jupiter"), "jupiter", "--help"),
    "name given twice": ((*UP, "one", "two"), "two", "--help"),
    "unknown option": ((*UP, "--gpu", "all"), "--gpu", "--help"),
    "unknown verb": (("strat",), "strat", "launcher start"),
    "unknown verb like no other": (("qqqqqq",), "qqqqqq", "--help"),
    "arguments after the separator": ((*UP, "--", "ls"), "after --", "up --help"),
    "arguments after the separator of ls": (("ls", "--", "x"), "after --", "ls --help"),
    "exec without a command": (("exec", "fault-none"), "no command", "after --"),
    "exec with an empty command": (("exec", "fault-none", "--"), "no command", "after --"),
    "logs of no lines": (("logs", "-n", "0"), "--lines", "--help"),
    "gpus: a word": ((*UP, "--gpus", "foo"), "foo", "auto, all, none"),
    "gpus: negative": ((*UP, "--gpus", "-1"), "-1", "auto, all, none"),
    "gpus: zero": ((*UP, "--gpus", "0"), "no GPU", "--gpus none"),
    "gpus: empty": ((*UP, "--gpus", ""), "''", "auto, all, none"),
    "gpus: twice": ((*UP, "--gpus", "0,0"), "twice", "once"),
    "gpus: a gap": ((*UP, "--gpus", "0,,1"), "0,,1", "auto, all, none"),
    "gpus: mixed": ((*UP, "--gpus", "all,none"), "all,none", "auto, all, none"),
    "gpus: of train": (("train", "--gpus", "1.5"), "1.5", "auto, all, none"),
    "project: missing": ((*UP, "--project", "{tmp}/missing dir"), "does not exist", "mkdir -p '.*missing dir'"),
    "project: empty": ((*UP, "--project", ""), "empty", "leave --project out"),
    "project: root": ((*UP, "--project", "/"), "system", "mkdir -p ~/project"),
    "project: link to root": ((*UP, "--project", "{tmp}/root"), "^launcher: / belongs", "mkdir -p ~/project"),
    "project: system tree": ((*UP, "--project", "/proc/self/fd"), "system", "mkdir -p ~/project"),
    "project: home": ((*UP, "--project", "{home}"), "home directory", "mkdir -p ~/project"),
    "project: link to home": ((*UP, "--project", "{tmp}/home"), "home directory", "mkdir -p ~/project"),
    "project: above home": ((*UP, "--project", "{home}/.."), "home directory", "mkdir -p ~/project"),
    "project: file": ((*UP, "--project", "{tmp}/file"), "not a directory", "directory that holds your work"),
    "project: dangling link": ((*UP, "--project", "{tmp}/dangling"), "does not exist", "mkdir"),
    "project: link to itself": ((*UP, "--project", "{tmp}/loop"), "loop", "another path"),
    "project: of train": (("train", "--project", "/"), "system", "mkdir -p ~/project"),
    "project: too long": ((*UP, "--project", "x" * 5000), "too long", "another path"),
    "project: newline": ((*UP, "--project", "{tmp}/a\nb"), r"a\\nb does not exist", "mkdir"),
    "name: blank inside": ((*UP, "a b"), "'a b'", "lower-case"),
    "name: one letter": ((*UP, "a"), "'a'", "2 to 49"),
    "name: too long": ((*UP, "x" * 50), "xxx", "2 to 49"),
    "name: capitals": ((*UP, "Mine"), "'Mine'", "lower-case"),
    "name: a path": ((*UP, "../mine"), "'../mine'", "lower-case"),
    "name: empty": ((*UP, ""), "''", "lower-case"),
    "name: not ASCII": ((*UP, "mühe"), "mühe", "lower-case"),
    "name: not UTF-8": ((*UP, os.fsdecode(b"\xff\xfe")), "name", "lower-case"),
    "port: zero": ((*UP, "--port", "0"), "0 is not a TCP port", "1024 to 65535"),
    "port: negative": ((*UP, "--port", "-1"), "-1 is not a TCP port", "1024 to 65535"),
    "port: too large": ((*UP, "--port", "99999"), "99999 is not a TCP port", "1024 to 65535"),
    "port: a word": ((*UP, "--port", "abc"), "abc", "--help"),
    "memory: no unit": ((*UP, "--memory", "16"), "16", "16g"),
    "memory: of train": (("train", "--memory", "lots"), "lots", "16g"),
    "cpus: none": ((*UP, "--cpus", "0"), "'0'", "0.5"),
    "shm-size: a word": ((*UP, "--shm-size", "big"), "big", "16g"),
    "pids: none": ((*UP, "--pids", "0"), "'0'", "whole number"),
    "restart: a word": ((*UP, "--restart", "sometimes"), "sometimes", "--help"),
    "apt: a command": ((*UP, "--apt", "git; reboot"), "git; reboot", "ffmpeg"),
    "pip: an option": ((*UP, "--pip", "--pre"), "--pre", "einops"),
    "key: missing": ((*UP, "--key", "{tmp}/missing"), "missing", "public keys"),
    "init of the home": (("init", "--project", "{home}"), "home directory", "mkdir -p"),
    "variable: bad key": ((*UP, "-e", "1A=2"), "1A=2", "Example"),
    "variable: no key": ((*UP, "-e", "=2"), "=2", "Example"),
    "variable: unset": ((*UP, "-e", "FAULT_UNSET"), "FAULT_UNSET", "FAULT_UNSET=VALUE"),
    "mount: missing": ((*UP, "--mount", "{tmp}/missing"), "does not exist", "mkdir -p"),
    "mount: empty": ((*UP, "--mount", ""), "HOST", "Example"),
    "mount: too many parts": ((*UP, "--mount", "a:b:c:d"), "HOST", "Example"),
    "mount: link to root": ((*UP, "--mount", "{tmp}/root"), "hand the machine", "of your own"),
    "mount: home": ((*UP, "--mount", "{home}"), "home directory", "inside it"),
    "mount: engine socket": ((*UP, "--mount", "{tmp}/docker.sock"), "hand the machine", "of your own"),
    "mount: engine storage": ((*UP, "--mount", "/proc/1"), "hand the machine|cannot be used", ""),
    "mount: over the project": ((*UP, "--mount", "{tmp}/data:/workspace"), "/workspace", "absolute path"),
    "mount: over the project, hidden": ((*UP, "--mount", "{tmp}/data:/mnt/../workspace/"), "/workspace", "absolute"),
    "mount: relative target": ((*UP, "--mount", "{tmp}/data:mnt"), "mnt", "absolute path"),
    "mount: two on one place": ((*UP, "--mount", "{tmp}/data", "--mount", "{tmp}/data"), "/mnt/data", "another place"),
}


@pytest.mark.parametrize("verb", [UP, ("train",), ("config",), ("up", "--dry-run")])
def test_a_wrong_settings_file_is_refused_before_the_engine_is_called(
    project: Path, untouched_engine: SocketServer, user_directories: Path, verb: tuple[str, ...]
) -> None:
    (project / "launcher.toml").write_text('memory = "1g"\nmemroy = "2g"\n')
    done = Launcher(project).run(*verb)
    assert_refused(done, 2, r"launcher\.toml, line 2: there is no setting 'memroy'", "Did you mean memory")


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_the_engine_is_called(
    launcher: Launcher, untouched_engine: SocketServer, places: dict[str, str], case: str
) -> None:
    arguments, cause, next_step = REFUSED[case]
    before = digests(Path(places["home"]))
    done = launcher.run(*(argument.format(**places) for argument in arguments))
    assert_refused(done, 2, cause, next_step)
    assert digests(Path(places["home"])) == before


def test_home_as_current_directory_names_the_command_to_use(
    launcher: Launcher, untouched_engine: SocketServer, user_directories: Path
) -> None:
    assert_refused(launcher.run(*UP, cwd=user_directories), 2, "home directory", "mkdir -p ~/project && cd ~/project")


def test_deleted_current_directory(launcher: Launcher, untouched_engine: SocketServer, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = ["sh", "-c", 'rmdir "$0"; exec "$@"', str(gone)]
    assert_refused(launcher.run(*UP, cwd=gone, before=command), 2, "no longer exists", "--project DIR")


def test_project_whose_name_is_not_utf8(launcher: Launcher, untouched_engine: SocketServer, tmp_path: Path) -> None:
    directory = tmp_path / os.fsdecode(b"caf\xe9")
    directory.mkdir()
    assert_refused(launcher.run(*UP, cwd=directory), 2, "not UTF-8", "Rename")


@pytest.mark.parametrize("case", ["gpus: a word", "name: capitals", "port: zero", "unknown mode", "unknown verb"])
def test_failure_as_json(launcher: Launcher, untouched_engine: SocketServer, places: dict[str, str], case: str) -> None:
    done = launcher.run(*REFUSED[case][0], "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.code, error["code"]) == (2, 2)
    assert_refused(Ended(done.code, "", done.stderr), 2, "", "")
    assert error["cause"] in done.stderr
    assert error["next"] in done.stderr


def test_home_that_cannot_be_written(launcher: Launcher, tmp_path: Path) -> None:
    """Simulated: an engine that answers its ping, and /proc as state directory, where root cannot write either."""
    path = tmp_path / "engine.sock"
    with socket_server(path, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"):
        environ = {"DOCKER_HOST": f"unix://{path}", "XDG_STATE_HOME": "/proc"}
        done = launcher.run(*UP, environ=environ)
    assert_refused(done, 3, "cannot write to /proc", "XDG_STATE_HOME")


def shell(launcher: Launcher, script: str, *arguments: str) -> Ended:
    """Run the launcher in a script, as `"$@"`."""
    return launcher.run(*arguments, before=["bash", "-c", script, "bash"])


@pytest.mark.parametrize("arguments", [("--help",), ("up", "--help"), ("--version",), ()])
def test_output_that_nobody_reads(launcher: Launcher, arguments: tuple[str, ...]) -> None:
    done = shell(launcher, 'set -o pipefail; "$@" | head -0', *arguments)
    assert (done.code, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_code(launcher: Launcher, untouched_engine: SocketServer, closed: str) -> None:
    assert shell(launcher, f'"$@" {closed}', "--version").code == 0
    refused = shell(launcher, f'"$@" {closed}', *UP, "--gpus", "foo")
    assert refused.code == 2
    assert "Traceback" not in refused.stderr
    if "2>&-" not in closed:
        assert_refused(refused, 2, "foo")


def test_full_disk_behind_stdout(launcher: Launcher, untouched_engine: SocketServer) -> None:
    assert_refused(shell(launcher, '"$@" > /dev/full', "--help"), 3, "No space left", "again")
    assert_refused(shell(launcher, '"$@" > /dev/full', *UP, "--gpus", "foo", "--json"), 2, "foo", "auto")


def test_without_arguments_the_help_is_shown(launcher: Launcher) -> None:
    done = launcher.run()
    assert done.code == 0
    assert "up --mode jupyter" in done.stdout
    assert done.stderr == ""


def test_debug_shows_the_traceback_and_still_ends_with_two_lines(
    launcher: Launcher, untouched_engine: SocketServer
) -> None:
    done = launcher.run(*UP, "--gpus", "foo", "--debug")
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("  next: ")


def test_port_in_use_is_found_before_anything_is_made(launcher: Launcher, engine: object, jupyter_image: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = launcher.run(*UP, "--port", str(port))
    assert_refused(done, 4, f"port {port} is in use", "--port N")
    assert "Building" not in done.stderr


@pytest.mark.parametrize(
    ("stack", "code", "cause"), [("nope", 2, "no stack 'nope'"), ("cu126", 3, "cu126 has no hash-locked")]
)
def test_stack_that_cannot_be_used(launcher: Launcher, engine: object, stack: str, code: int, cause: str) -> None:
    assert_refused(launcher.run(*UP, "--stack", stack), code, cause, "")


@pytest.mark.parametrize("verb", ["status", "url", "logs", "stop", "start", "down", "shell"])
def test_environment_that_does_not_exist(launcher: Launcher, engine: object, verb: str) -> None:
    assert_refused(launcher.run(verb, "fault-absent"), 2, "no environment named fault-absent", "launcher ls")


def test_exec_in_an_environment_that_does_not_exist(launcher: Launcher, engine: object) -> None:
    assert_refused(launcher.run("exec", "fault-absent", "--", "true"), 2, "fault-absent", "launcher ls")
