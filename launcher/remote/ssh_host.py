"""ssh://USER@HOST:PORT/SOCKET, and the argument lists of OpenSSH's client that reach it. Pure."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from launcher.errors import UsageError
from launcher.host import home_directory

CONNECT_SECONDS = 10
# A connection that has died without a word is noticed after 45 s, and its tunnels end.
KEEP_ALIVE = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3")
# Forwardings of the user's own configuration belong to the user's own sessions.
EXTRAS = ("ClearAllForwardings=yes", "ForwardAgent=no", "ForwardX11=no", "RemoteCommand=none")
NO_EXTRAS = tuple(word for option in EXTRAS for word in ("-o", option))
WORD = re.compile(r"[A-Za-z0-9_.\[\]:%][A-Za-z0-9_.\[\]:%@+-]*")


@dataclass(frozen=True, slots=True)
class SshHost:
    """A machine to log in to; `config` is a client configuration to name with -F, `socket` the engine's there.

    What is None is left to the client's own configuration.
    """

    host: str
    user: str | None = None
    port: int | None = None
    socket: str | None = None
    config: Path | None = None

    @classmethod
    def parse(cls, url: str, environ: Mapping[str, str]) -> SshHost:
        """Read ssh://[USER@]HOST[:PORT][/SOCKET]; raises UsageError for anything else."""
        example = "Use for example ssh://me@gpu-box or ssh://me@gpu-box:2222"
        try:
            parts = urlsplit(url)
            host, user, port = parts.hostname or "", parts.username and unquote(parts.username), parts.port
        except ValueError:
            raise UsageError(f"{url!r} is not the address of a machine", example) from None
        if parts.password is not None:
            raise UsageError("an ssh:// address holds a password, which others could read", "Use a key: ssh-copy-id")
        # A leading dash would be an option to ssh: CVE-2017-1000117 and its like.
        if not WORD.fullmatch(host) or (user is not None and not WORD.fullmatch(user)) or parts.query:
            raise UsageError(f"{url!r} is not the address of a machine", example)
        # urlsplit lowers the name, and Host patterns of a client configuration know capitals.
        named = re.search(re.escape(host), parts.netloc, re.IGNORECASE)
        socket = parts.path if parts.path not in ("", "/") else None
        return cls(named[0] if named else host, user or None, port, socket, own_configuration(environ))

    @property
    def destination(self) -> str:
        """As a user types it: USER@HOST."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def login(self) -> str:
        """The command that logs in there, for messages."""
        return " ".join(["ssh", *(["-p", str(self.port)] if self.port else []), self.destination])

    def arguments(self, *options: str) -> list[str]:
        """ssh with `options`, up to and including the host; a command may follow."""
        config = ["-F", str(self.config)] if self.config else []
        user = ["-l", self.user] if self.user else []
        port = ["-p", str(self.port)] if self.port else []
        return ["ssh", *config, *options, *user, *port, "--", self.host]


def own_configuration(environ: Mapping[str, str]) -> Path | None:
    """The client configuration below $HOME, where that is not the home OpenSSH knows: it does not look at $HOME."""
    home = home_directory(environ)
    try:
        known = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        known = Path("/nonexistent")
    config = home / ".ssh/config"
    return config if home.resolve() != known.resolve() and config.exists() else None
