"""Asks an engine's socket directly, in milliseconds: the Docker SDK takes 0.2 s to import."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from enum import Enum
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

PING_SECONDS = 15.0  # a healthy engine on a busy machine may stall for some seconds
PLAIN_TCP_PORT = 2375  # https://docs.docker.com/engine/daemon/remote-access/


class EngineState(Enum):
    """What a socket did when it was asked."""

    ANSWERS = "answers"
    REFUSES = "refuses permission"
    HANGS = "does not answer in time"
    DEAD = "has no server behind it"
    ABSENT = "does not exist"
    UNKNOWN = "cannot be asked directly (ssh or TLS)"


@dataclass(frozen=True, slots=True)
class Answer:
    """State, and the JSON body where there was one."""

    state: EngineState
    body: object = None


class _SocketConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask_engine(url: str, path: str = "/_ping", timeout: float = PING_SECONDS) -> Answer:
    """GET `path` from the engine at `url` (unix:// or tcp://); never raises. `timeout` in seconds."""
    connection = _connection(url, timeout)
    if connection is None:
        return Answer(EngineState.UNKNOWN)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        content = response.read()
    except FileNotFoundError:
        return Answer(EngineState.ABSENT)
    except PermissionError:
        return Answer(EngineState.REFUSES)
    except TimeoutError:
        return Answer(EngineState.HANGS)
    except (OSError, HTTPException):
        return Answer(EngineState.DEAD)
    finally:
        connection.close()
    if response.status >= 400:
        return Answer(EngineState.DEAD)
    return Answer(EngineState.ANSWERS, _decoded(content))


def _connection(url: str, timeout: float) -> HTTPConnection | None:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return _SocketConnection(parts.path, timeout)
    if parts.scheme == "tcp" and parts.port in (None, PLAIN_TCP_PORT):
        return HTTPConnection(parts.hostname or "localhost", parts.port or PLAIN_TCP_PORT, timeout=timeout)
    return None


def _decoded(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None
