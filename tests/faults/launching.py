"""The launcher as a process of its own, and what every one of its failures has to look like."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.waiting import DEADLINE_SECONDS

ROOT = Path(__file__).resolve().parent.parent.parent
# As bin/launcher starts it, but with the interpreter that runs the tests: these cases need no network for a venv.
PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from launcher.cli import main; sys.exit(main())"
ANSWERS = {
    "half a body": (
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"ApiVersion": "1.4'
    ),
    "a bad status line": b"NONSENSE\r\n\r\n",
    "status 500": b'HTTP/1.1 500 Internal Server Error\r\nContent-Length: 17\r\n\r\n{"message":"boo"}',
    "a web page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>",
    "another object": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
    "an ancient version": (
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n{"ApiVersion":"1.12"}'
    ),
    "nothing": b"",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: exit code and both streams' text."""

    code: int
    stdout: str
    stderr: str


@dataclass(slots=True)
class Launcher:
    """Runs the launcher in `project` with the environment variables of the test and `environ`."""

    project: Path
    environ: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str, before: Sequence[str] = ()) -> list[str]:
        return [*before, sys.executable, "-I", "-c", PROGRAM, str(ROOT), *arguments]

    def variables(self, environ: dict[str, str] | None = None) -> dict[str, str]:
        return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **self.environ, **(environ or {})}

    def run(
        self,
        *arguments: str,
        cwd: Path | None = None,
        environ: dict[str, str] | None = None,
        before: Sequence[str] = (),
        stdin: str = "",
        timeout: float = DEADLINE_SECONDS,
    ) -> Ended:
        """`before` is a command that starts the launcher (setpriv ...)."""
        done = subprocess.run(
            self.command(*arguments, before=before),
            cwd=cwd or self.project,
            env=self.variables(environ),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A run that goes on; stdout and stderr are pipes."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.project,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *arguments: str) -> dict[str, Any]:
        """The object a successful run printed."""
        done = self.run(*arguments, "--json")
        assert done.code == 0, done
        return dict(json.loads(done.stdout))


def engine_name(name: str) -> str:
    """The container's and network's name of an environment of ours."""
    return f"gl-{os.getuid()}-{name}"


def assert_refused(done: Ended, code: int, cause: str = "", next_step: str = "") -> None:
    """The documented exit code, one line of cause and one of next step at the end of stderr, nothing on stdout."""
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    assert done.code == code, done
    lines = done.stderr.splitlines()
    assert [line.startswith("launcher: ") for line in lines].count(True) == 1, done.stderr
    assert len(lines) >= 2, done.stderr
    assert lines[-2].startswith("launcher: "), done.stderr
    assert lines[-1].startswith("  next: "), done.stderr
    assert re.search(cause, lines[-2]), done.stderr
    assert re.search(next_step, lines[-1]), done.stderr
    assert "This is a bug" not in lines[-1], done.stderr
    assert done.stdout == "", done.stdout


def digests(directory: Path) -> dict[str, str]:
    """Path -> sha256 or link target of every file below a directory; directories too."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.is_symlink():
            found[str(path)] = f"-> {path.readlink()}"
        elif path.is_file():
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[str(path)] = "directory"
    return found


class SocketServer(socketserver.ThreadingUnixStreamServer):
    """Something on a Unix socket that is no engine; counts who called."""

    daemon_threads = True
    # A handler that hangs until the test is over must not be waited for.
    block_on_close = False

    def __init__(self, path: Path, answer: bytes | None) -> None:
        super().__init__(str(path), _Handler)
        self.answer = answer
        self.calls = 0
        self.finished = threading.Event()


class _Handler(socketserver.BaseRequestHandler):
    server: SocketServer

    def handle(self) -> None:
        self.server.calls += 1
        self.request.recv(65536)
        if self.server.answer is None:
            self.server.finished.wait()
        else:
            self.request.sendall(self.server.answer)


@contextmanager
def socket_server(path: Path, answer: bytes | None) -> Iterator[SocketServer]:
    """Answers every request with the same bytes; None: accepts and says nothing."""
    with SocketServer(path, answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.finished.set()
        server.shutdown()
