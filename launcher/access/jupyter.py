"""JupyterLab: its token, its URL, and whether it answers."""

from __future__ import annotations

import http.client
import secrets
from contextlib import suppress

TOKEN_BYTES = 32


def new_token() -> str:
    """256 random bits, safe in a URL."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def url(port: int, token: str) -> str:
    """The one address to open; 127.0.0.1 because `localhost` may resolve to ::1, which is not published."""
    return f"http://127.0.0.1:{port}/lab?token={token}"


def answers(port: int, token: str, seconds: float) -> bool:
    """True when the server lists its contents for this token, that is, when a browser could work with it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    with suppress(OSError, http.client.HTTPException):
        try:
            connection.request("GET", "/api/contents?content=0", headers={"Authorization": f"token {token}"})
            return connection.getresponse().status == 200
        finally:
            connection.close()
    return False
