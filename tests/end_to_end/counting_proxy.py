"""A socket in front of an engine's that counts the requests that pass through it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

REQUEST = re.compile(rb"(?:GET|HEAD|POST|PUT|DELETE) (\S+) HTTP/1\.1\r\n")


@dataclass
class CountingProxy:
    """`requests` are the paths asked for, without the API's version, in the order of arrival."""

    directory: Path
    target: str
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.directory}/proxy.sock"

    def serve(self, listener: socket.socket) -> None:
        """Until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self.target)
                for pair in ((client, engine, True), (engine, client, False)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if counted:
                    paths = [path.decode() for path in REQUEST.findall(data)]
                    self.requests += [re.sub(r"^/v[\d.]+|\?.*", "", path) for path in paths]
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def counting_proxy(directory: Path, target: str) -> Iterator[CountingProxy]:
    """In front of the engine's Unix socket `target`."""
    proxy = CountingProxy(directory, target)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{directory}/proxy.sock")
        listener.listen()
        threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
        yield proxy
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
