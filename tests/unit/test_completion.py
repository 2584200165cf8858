"""Completion by the real shells, with a TAB pressed; names come from a socket that answers as an engine does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pexpect
import pytest

from launcher.cli.completion import SCRIPTS
from tests.faults.launching import PROGRAM, ROOT, socket_server
from tests.waiting import DEADLINE_SECONDS, eventually

CONTAINERS = [
    {"Labels": {"gpu-launcher.name": "alpha-ssh", "gpu-launcher.owner": str(os.getuid())}},
    {"Labels": {"gpu-launcher.name": "beta-jupyter", "gpu-launcher.owner": str(os.getuid())}},
    {"Labels": {"gpu-launcher.name": "somebody-elses", "gpu-launcher.owner": "424242"}},
]
VOLUMES = {"Volumes": [{"Labels": {"gpu-launcher.name": "asleep-ssh", "gpu-launcher.owner": str(os.getuid())}}]}


class _Engine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(VOLUMES if self.path.startswith("/volumes") else CONTAINERS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "local"

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[str]:
    """Simulated: an engine that lists three containers and a volume."""
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "engine.sock"), _Engine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"unix://{tmp_path}/engine.sock"
        server.shutdown()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The launcher as a program called `launcher`, in no directory of PATH, as in a clone; it waits for the engine."""
    patient = f"from launcher import names; names.ANSWER_SECONDS = {DEADLINE_SECONDS}; from launcher.cli"
    return written(tmp_path, PROGRAM.replace("from launcher.cli", patient))


def written(directory: Path, python: str) -> Path:
    """bin/launcher in a clone of its own, that runs `python`."""
    path = directory / "clone/bin/launcher"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\nexec {sys.executable} -I -c '{python}' '{ROOT}' \"$@\"\n")
    path.chmod(0o755)
    return path


def completed(program: Path, engine: str, *words: str) -> list[str]:
    """What bash's own function finds for the last of `words`."""
    script = (
        f'{SCRIPTS["bash"]}\nprogram=$1; shift; COMP_WORDS=(launcher "$@"); COMP_CWORD=$(($# ))\n'
        'compopt() { echo "compopt $1 $2"; }\n_launcher_completion "$program"; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environ = {**os.environ, "DOCKER_HOST": engine}
    done = subprocess.run(
        ["bash", "-c", script, "bash", str(program), *words],
        env=environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("comp",), ["completion"]),
        (("st",), ["status", "stop", "start"]),
        (("exec", ""), ["alpha-ssh", "asleep-ssh", "beta-jupyter"]),
        (("rm", "a"), ["alpha-ssh", "asleep-ssh"]),
        (("up", "--mode", ""), ["jupyter", "ssh"]),
        (("up", "--mo"), ["--mount", "--mode"]),
        (("bundle", ""), ["save", "load"]),
        (("completion", "f"), ["fish"]),
        (("cp", "alp"), ["compopt -o default", "alpha-ssh:"]),
        (("exec", "alpha-ssh", "--", ""), ["compopt -o default"]),
        (("exec", "somebody"), []),
        (("nonsense", ""), []),
    ],
)
def test_bash_finds_verbs_options_and_names(
    program: Path, engine: str, words: tuple[str, ...], found: list[str]
) -> None:
    assert sorted(completed(program, engine, *words)) == sorted(found)


@pytest.mark.parametrize("answer", [None, b"NONSENSE", b""], ids=["hangs", "nonsense", "nothing"])
def test_without_an_engine_that_answers_there_are_no_names_and_no_words(tmp_path: Path, answer: bytes | None) -> None:
    program = written(tmp_path, PROGRAM)
    with socket_server(tmp_path / "broken.sock", answer) as server:
        assert completed(program, f"unix://{tmp_path}/broken.sock", "exec", "") == []
        assert eventually(lambda: server.calls) == 1, "a TAB is not kept waiting twice"
    assert completed(program, f"unix://{tmp_path}/absent.sock", "exec", "") == []
    assert completed(program, "no address", "exec", "") == []
    assert completed(program, "no address", "comp") == ["completion"]


SHELLS = {
    "bash": (("--norc", "--noprofile", "-i"), "PS1='ready> '; bind 'set enable-bracketed-paste off'; source {script}"),
    "zsh": (("-f", "-i"), "PROMPT='ready> '; autoload -U compinit && compinit -u -D; source {script}"),
    "fish": (("--no-config", "-i"), "function fish_prompt; printf 'ready> '; end; source {script}"),
}


@pytest.mark.parametrize(("typed", "completed"), [("uninst", "uninstall"), ("status bet", "beta-jupyter")])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_tab_completes_a_verb_and_a_name(
    shell: str, typed: str, completed: str, program: Path, engine: str, tmp_path: Path
) -> None:
    """The program is named by its path, as in a clone, and the arguments it is called with are looked at."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(subprocess.run([program, "completion", shell], capture_output=True, text=True, check=True).stdout)
    arguments, setup = SHELLS[shell]
    environ = {**os.environ, "DOCKER_HOST": engine, "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    child = pexpect.spawn(
        shell, list(arguments), env=environ, encoding="utf-8", timeout=DEADLINE_SECONDS, dimensions=(50, 200)
    )
    try:
        child.sendline(setup.format(script=script))
        child.sendline("echo begin''ning")
        child.expect("beginning")
        child.expect("ready> ")
        child.send(f"{program} {typed}\t")
        child.expect(completed)
    finally:
        child.kill(signal.SIGKILL)
        child.close(force=True)


def test_a_first_run_by_tab_installs_nothing(tmp_path: Path) -> None:
    """In a clone whose virtual environment was never made."""
    shutil.copytree(ROOT / "bin", tmp_path / "bin")
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    environ = {"PATH": os.environ["PATH"], "_LAUNCHER_COMPLETE": "bash", "HOME": str(tmp_path)}
    done = subprocess.run([tmp_path / "bin/launcher"], env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.glob(".venv*"))
