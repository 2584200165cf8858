"""The user's ssh configuration: `ssh NAME` is trusted from the first login, as the host key is known beforehand."""

from __future__ import annotations

import os
import shlex
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import NotReadyError
from launcher.state import State, write_atomically

USER = "user"


@dataclass(frozen=True, slots=True)
class SshAccess:
    """The files that make `ssh NAME` work without a question."""

    state: State
    home: Path

    @property
    def directory(self) -> Path:
        return self.state.directory / "ssh"

    def write(self, name: str, port: int, host_public_key: str, proxy: str | None = None) -> None:
        """Record the environment's address and host key, and include our file in ~/.ssh/config once.

        `proxy` is the command that carries the connection to another machine's engine.
        """
        directory = self.state.subdirectory("ssh")
        self.state.subdirectory("ssh/known_hosts")
        self.state.subdirectory("ssh/config")
        key_type, key = host_public_key.split()[:2]
        write_atomically(directory / "known_hosts" / name, f"{alias(name)} {key_type} {key}\n".encode())
        write_atomically(directory / "config" / name, self.host_block(name, port, proxy).encode())
        self._include()

    def host_block(self, name: str, port: int, proxy: str | None = None) -> str:
        """One Host entry with absolute paths, so that it also works with `ssh -F`."""
        key, known = self.directory / "id_ed25519", self.directory / "known_hosts" / name
        return (
            f"Host {name}\n"
            f"    HostName 127.0.0.1\n    Port {port}\n    User {USER}\n    HostKeyAlias {alias(name)}\n"
            f'    UserKnownHostsFile "{known}"\n    GlobalKnownHostsFile /dev/null\n    StrictHostKeyChecking yes\n'
            f'    UpdateHostKeys no\n    IdentityFile "{key}"\n    IdentitiesOnly yes\n'
            + (f"    ProxyCommand {proxy}\n" if proxy else "")
        )

    def forget(self, name: str) -> None:
        """Remove the environment's own lines; the Include line stays for the others."""
        for kind in ("known_hosts", "config"):
            (self.directory / kind / name).unlink(missing_ok=True)

    def command(self, name: str) -> str:
        """`ssh NAME`, or with -F where OpenSSH would not read the file: it ignores $HOME."""
        if self.home.resolve() == Path(f"~{login_name()}").expanduser().resolve():
            return f"ssh {name}"
        return f"ssh -F {shlex.quote(str(self.directory / 'config' / name))} {name}"

    @property
    def config(self) -> Path:
        """The user's own configuration file."""
        return self.home / ".ssh" / "config"

    @property
    def include_line(self) -> str:
        """The one line of ours in it."""
        return f'Include "{self.directory}/config/*"'

    def is_included(self) -> bool:
        """Whether the user's configuration has our line; False where it cannot be read."""
        with suppress(OSError):
            return self.include_line.encode() in self.config.read_bytes().splitlines()
        return False

    def _include(self) -> None:
        """Put one Include line before everything else: inside a Host block it would apply to that host alone."""
        try:
            self.config.parent.mkdir(mode=0o700, exist_ok=True)
            existing = self.config.read_bytes() if self.config.exists() else b""
            if self.include_line.encode() not in existing.splitlines():
                self._replace(f"{self.include_line}\n".encode() + existing)
        except OSError as error:
            raise NotReadyError(
                f"cannot add the Include line to {self.config}: {error}",
                f"Add it yourself as the first line: {self.include_line}",
            ) from None

    def exclude(self) -> None:
        """Take our line out of the user's configuration; every other byte stays, and so does the file."""
        try:
            existing = self.config.read_bytes()
            lines = existing.splitlines(keepends=True)
            rest = b"".join(line for line in lines if line.rstrip(b"\r\n") != self.include_line.encode())
            if rest != existing:
                self._replace(rest)
        except FileNotFoundError:
            return
        except OSError as error:
            raise NotReadyError(
                f"cannot take the Include line out of {self.config}: {error}", "Delete that line yourself."
            ) from None

    def _replace(self, content: bytes) -> None:
        mode = self.config.stat().st_mode & 0o777 if self.config.exists() else 0o600
        write_atomically(self.config, content, mode)


def alias(name: str) -> str:
    """Under which name the host key is known: the port may change, the key does not."""
    return f"gpu-launcher-{name}"


def login_name() -> str:
    """The caller's name in the password database, empty for a uid that has none."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def banner(port: int, seconds: float) -> bool:
    """True when a server greets with an SSH banner; an open port alone only proves the engine's proxy."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.settimeout(seconds)
        return connection.recv(16).startswith(b"SSH-2.0-")
    return False
