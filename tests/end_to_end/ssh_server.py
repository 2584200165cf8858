"""A real OpenSSH server on loopback, in the part of the GPU machine that somebody reaches from a laptop."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services import UnavailableError, free_port, ssh_answers, wait_for_service

INSTALLED = "/usr/sbin/sshd"
PACKAGES = ("openssh-server", "libwrap0")
USER, UID = "ann", 424242
AS_USER = f'mount --bind "$0" /etc/passwd && exec setpriv --reuid={UID} --regid={UID} --clear-groups -- "$@"'


@dataclass(frozen=True, slots=True)
class SshServer:
    """Where it listens, who may log in, and its host key's public line."""

    port: int
    user: str
    host_key: str

    @property
    def connection(self) -> str:
        """SSH_CONNECTION as it stands in a session there."""
        return f"127.0.0.1 50000 127.0.0.1 {self.port}"


@contextmanager
def ssh_server(cache: Path, client_key: Path) -> Iterator[SshServer]:
    """Log in by `client_key`; forwarding is allowed, as on a machine of one's own. Raises UnavailableError.

    Not as root: as `ann` where the tests are root's, whom only this server's own view of /etc/passwd knows.
    """
    user = pwd.getpwuid(os.getuid()).pw_name if os.getuid() else USER
    directory = Path(tempfile.mkdtemp(prefix="gl-sshd-"))
    try:
        program, libraries = _program(cache, directory)
        port = free_port()
        host_key = _prepare(directory, client_key, port, user)
        log = directory / "log"
        with log.open("wb") as output:
            prefix = ("unshare", "--mount", "sh", "-c", AS_USER, str(directory / "passwd")) if os.getuid() == 0 else ()
            process = subprocess.Popen(
                [*prefix, str(program), "-D", "-e", "-f", str(directory / "config")],
                env={**os.environ, "LD_LIBRARY_PATH": libraries},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            wait_for_service(process, lambda: ssh_answers(port), log, "sshd")
            yield SshServer(port, user, host_key)
        finally:
            process.terminate()
            process.wait(30)
    finally:
        shutil.rmtree(directory)


def _prepare(directory: Path, client_key: Path, port: int, user: str) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "host")], check=True)
    shutil.copy(client_key.with_suffix(".pub"), directory / "authorized_keys")
    (directory / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {directory}/authorized_keys\nPasswordAuthentication no\nAllowUsers {user}\n"
    )
    if os.getuid() == 0:
        known = Path("/etc/passwd").read_text()
        (directory / "passwd").write_text(f"{known}{USER}:x:{UID}:{UID}::{directory}:/bin/sh\n")
        for path in (directory, *directory.iterdir()):
            os.chown(path, UID, UID)
    return (directory / "host.pub").read_text().strip()


def _program(cache: Path, directory: Path) -> tuple[Path, str]:
    """The machine's own, else Debian's package unpacked into the cache and not installed; copied into `directory`,
    as a cache below root's home lets nobody else in."""
    if Path(INSTALLED).exists():
        return Path(INSTALLED), ""
    unpacked = cache / "openssh-server"
    if not unpacked.is_dir():
        partly = cache / "openssh-server.unpacking"
        shutil.rmtree(partly, ignore_errors=True)
        partly.mkdir(parents=True)
        for command in (
            ["apt-get", "-q", "download", *PACKAGES],
            ["sh", "-c", 'for d in *.deb; do dpkg -x "$d" .; done'],
        ):
            try:
                done = subprocess.run(command, cwd=partly, capture_output=True, text=True)
            except OSError as error:
                raise UnavailableError(f"{command[0]} cannot be run: {error.strerror}") from None
            if done.returncode:
                raise UnavailableError(f"{' '.join(command[:3])}: {done.stderr.strip()}")
        partly.rename(unpacked)
    (library,) = unpacked.glob("**/libwrap.so.0")
    place = directory / "programs"
    shutil.copytree(unpacked, place, symlinks=True)
    return place / "usr/sbin/sshd", str(place / library.parent.relative_to(unpacked))
