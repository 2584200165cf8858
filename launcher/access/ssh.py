"""SSH that is trusted from the first login: keys made here, the host key known before the server starts."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import NotReadyError
from launcher.host import home_directory
from launcher.state import State, write_atomically

USER = "user"
PUBLIC_KEY = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" [A-Za-z0-9+/]+=*( .*)?"
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ed25519 key: OpenSSH private text, and the public line."""

    private: bytes
    public: bytes


def generate_key(comment: str) -> KeyPair:
    """Make a key with ssh-keygen; raises NotReadyError where OpenSSH's client is not installed."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise NotReadyError(
            "ssh-keygen is not installed", "Install OpenSSH's client: sudo apt-get install openssh-client"
        )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "key"
        subprocess.run(
            [program, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return KeyPair(path.read_bytes(), path.with_suffix(".pub").read_bytes())


def client_key(state: State) -> Path:
    """The launcher's own private key, made on first use; the public one lies beside it."""
    path = state.subdirectory("ssh") / "id_ed25519"
    if not path.exists() or not path.with_suffix(".pub").exists():
        pair = generate_key("gpu-launcher")
        write_atomically(path.with_suffix(".pub"), pair.public, 0o644)
        write_atomically(path, pair.private)
    return path


def accepted_keys(state: State, environ: Mapping[str, str]) -> bytes:
    """authorized_keys: the launcher's key, the caller's public keys and who may already log in as the caller.

    Lines that are not plain public keys are left out: an option such as command= is a promise about another machine.
    """
    home = home_directory(environ)
    paths = [
        client_key(state).with_suffix(".pub"),
        *sorted((home / ".ssh").glob("*.pub")),
        home / ".ssh/authorized_keys",
    ]
    lines: list[str] = []
    for path in paths:
        with suppress(OSError, UnicodeDecodeError):
            lines += [line.strip() for line in path.read_text().splitlines()]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines) if PUBLIC_KEY.fullmatch(line)).encode()


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
        write_atomically(directory / "known_hosts" / name, f"{_alias(name)} {key_type} {key}\n".encode())
        write_atomically(directory / "config" / name, self.host_block(name, port, proxy).encode())
        self._include()

    def host_block(self, name: str, port: int, proxy: str | None = None) -> str:
        """One Host entry with absolute paths, so that it also works with `ssh -F`."""
        key, known = self.directory / "id_ed25519", self.directory / "known_hosts" / name
        return (
            f"Host {name}\n"
            f"    HostName 127.0.0.1\n    Port {port}\n    User {USER}\n    HostKeyAlias {_alias(name)}\n"
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
        if self.home.resolve() == Path(f"~{_login_name()}").expanduser().resolve():
            return f"ssh {name}"
        return f"ssh -F {shlex.quote(str(self.directory / 'config' / name))} {name}"

    def _include(self) -> None:
        """Put one Include line before everything else: inside a Host block it would apply to that host alone."""
        config = self.home / ".ssh" / "config"
        line = f'Include "{self.directory}/config/*"'
        try:
            config.parent.mkdir(mode=0o700, exist_ok=True)
            existing = config.read_text() if config.exists() else ""
            if line not in existing.splitlines():
                mode = config.stat().st_mode & 0o777 if config.exists() else 0o600
                write_atomically(config, f"{line}\n{existing}".encode(), mode)
        except (OSError, UnicodeDecodeError) as error:
            raise NotReadyError(
                f"cannot add the Include line to {config}: {error}", f"Add it yourself as the first line: {line}"
            ) from None


def _alias(name: str) -> str:
    return f"gpu-launcher-{name}"


def _login_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def banner(port: int, seconds: float = 2.0) -> bool:
    """True when a server greets with an SSH banner; an open port alone only proves the engine's proxy."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.settimeout(seconds)
        return connection.recv(16).startswith(b"SSH-2.0-")
    return False


def laptop_instructions(mode: str, name: str, port: int, environ: Mapping[str, str], access: SshAccess) -> str | None:
    """What to run on the laptop when the user reached this machine by ssh, None otherwise."""
    fields = environ.get("SSH_CONNECTION", "").split()
    if len(fields) != 4:
        return None
    address, server_port = fields[2], fields[3]
    jump = f"{environ.get('USER') or _login_name()}@{address}"
    if mode == "jupyter":
        port_option = "" if server_port == "22" else f"-p {server_port} "
        return f"ssh -N -L {port}:127.0.0.1:{port} {port_option}{jump}"
    known = (access.directory / "known_hosts" / name).read_text().strip()
    return (
        f"# append to ~/.ssh/config on the laptop\n"
        f"Host {name}\n    HostName 127.0.0.1\n    Port {port}\n    User {USER}\n    ProxyJump {jump}:{server_port}\n"
        f"    HostKeyAlias {_alias(name)}\n"
        f"# append to ~/.ssh/known_hosts on the laptop\n{known}"
    )
