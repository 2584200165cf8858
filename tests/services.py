"""Services that tests start for themselves: a port for them, and waiting until they answer."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from launcher.setup.probe import EngineState, ask_engine
from tests.waiting import eventually


class UnavailableError(Exception):
    """This machine cannot have the service; the message says why."""


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_service(process: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path, what: str) -> None:
    """Until `answers` is true. Raises UnavailableError, with the log's last line, where `process` ends or is silent."""
    answered = False

    def settled() -> bool:
        nonlocal answered
        answered = answers()
        return answered or process.poll() is not None

    eventually(settled, interval=0.05)
    if not answered:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise UnavailableError(f"{what} does not start: {' '.join(last)}")


def ssh_answers(port: int) -> bool:
    """Whether an ssh server greets on this port of loopback."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def engine_answers(socket_path: Path) -> bool:
    """Whether an engine answers on this Unix socket."""
    return ask_engine(f"unix://{socket_path}").state is EngineState.ANSWERS
