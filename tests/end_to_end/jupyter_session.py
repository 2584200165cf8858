"""A kernel and a terminal of a running JupyterLab, through its own REST interface and websockets."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
import websocket

from tests.end_to_end.environment import Started
from tests.waiting import DEADLINE_SECONDS


@dataclass(frozen=True, slots=True)
class JupyterSession:
    """The server at `base` (http://HOST:PORT), reached with its token."""

    base: str
    token: str

    @classmethod
    def of(cls, started: Started) -> JupyterSession:
        base, _, token = str(started.result["url"]).partition("/lab?token=")
        return cls(base, token)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}

    def run_cell(self, code: str) -> str:
        """What `code` prints in a kernel of its own."""
        with (
            self._made("kernels", {"name": "python3"}) as kernel,
            self._channel(f"api/kernels/{kernel['id']}/channels") as channel,
        ):
            message = uuid.uuid4().hex
            header = {"msg_id": message, "msg_type": "execute_request", "version": "5.3", "session": message}
            content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
            request = {"header": header | {"username": ""}, "content": content, "channel": "shell"}
            channel.send(json.dumps({**request, "parent_header": {}, "metadata": {}, "buffers": []}))
            return _printed(channel, message)

    @contextmanager
    def terminal(self) -> Iterator[websocket.WebSocket]:
        """A terminal's websocket: what is typed goes in as ["stdin", TEXT]."""
        with (
            self._made("terminals", {}) as terminal,
            self._channel(f"terminals/websocket/{terminal['name']}") as channel,
        ):
            yield channel

    @contextmanager
    def _made(self, kind: str, options: dict[str, str]) -> Iterator[dict[str, Any]]:
        url = f"{self.base}/api/{kind}"
        made = requests.post(url, headers=self.headers, json=options, timeout=DEADLINE_SECONDS)
        made.raise_for_status()
        thing = made.json()
        yield thing
        requests.delete(f"{url}/{thing.get('id') or thing['name']}", headers=self.headers, timeout=DEADLINE_SECONDS)

    @contextmanager
    def _channel(self, path: str) -> Iterator[websocket.WebSocket]:
        url = f"{self.base.replace('http', 'ws', 1)}/{path}"
        channel = websocket.create_connection(url, header=self.headers, timeout=DEADLINE_SECONDS)
        yield channel
        channel.close()


def _printed(channel: websocket.WebSocket, message: str) -> str:
    """What comes until the kernel is idle again: its reply comes by another way, and may overtake what was printed."""
    printed = ""
    while True:
        answer = json.loads(channel.recv())
        if answer["parent_header"].get("msg_id") != message:
            continue
        if answer["msg_type"] == "stream":
            printed += answer["content"]["text"]
        elif answer["msg_type"] == "error":
            raise AssertionError(answer["content"])
        elif answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
            return printed
