"""Host ports on the loopback interface: chosen once by us, never drawn by the engine.

`-p 127.0.0.1::8888` would change over stop and start, and with it every URL and ssh config.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator

from launcher.errors import ConflictError, UsageError

ATTEMPTS = 200


def candidate_ports(first: int, taken: Iterable[int], preferred: int | None = None) -> Iterator[int]:
    """Free ports from `first` upwards, the `preferred` one (used last time) before them.

    Another process may take one before the engine does: the caller tries the next.
    """
    avoided = set(taken)
    if preferred and is_free(preferred):
        yield preferred
    for port in range(first, first + ATTEMPTS):
        if port not in avoided and port != preferred and is_free(port):
            yield port


def is_free(port: int) -> bool:
    """True when nothing listens on 127.0.0.1:port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True


def valid_port(port: int | None, where: str = "--port") -> int | None:
    """Raises UsageError, naming `where` it stands, for a number that is no TCP port."""
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"{where} {port} is not a TCP port", "Use a number from 1024 to 65535.")
    return port


def checked_port(port: int | None) -> int | None:
    """Raises UsageError for a port nobody can publish, ConflictError for one in use."""
    valid_port(port)
    if port is not None and not is_free(port):
        raise ConflictError(
            f"port {port} is in use by another program",
            "Choose another with --port N, or leave --port out.",
            cause_id="docker-port-in-use",
        )
    return port
