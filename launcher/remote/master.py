"""One login kept open by OpenSSH's client (ControlMaster): commands and forwardings then take milliseconds."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import NotReadyError, TimedOutError
from launcher.remote.ssh_errors import ssh_error
from launcher.remote.ssh_host import CONNECT_SECONDS, KEEP_ALIVE, NO_EXTRAS, SshHost

LOGIN_SECONDS = 45.0
COMMAND_SECONDS = 30.0
# Only the control socket counts, and without it there is no second way: a login with other options would be another.
CONTROL_ONLY = ("-F", "/dev/null", "-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ProxyCommand=false")


@dataclass(frozen=True, slots=True)
class Master:
    """A connection by its control socket. `idle_seconds` closes it when it was not used for so long; 0 never does."""

    host: SshHost
    control: Path
    idle_seconds: int = 0

    def open(self) -> None:
        """Log in, unless that is done. Raises NotReadyError or TimedOutError with ssh's reason.

        On a terminal OpenSSH may ask there (passphrase, new host key); elsewhere it must not.
        """
        if self.alive():
            return
        self.control.unlink(missing_ok=True)
        asks = sys.stdin.isatty() and sys.stderr.isatty()
        options = ["-f", "-N", "-M", "-S", str(self.control), "-o", f"ControlPersist={self.idle_seconds or 'no'}"]
        options += ["-o", f"ConnectTimeout={CONNECT_SECONDS}", *KEEP_ALIVE, *NO_EXTRAS]
        options += [] if asks else ["-o", "BatchMode=yes"]
        # A file: the connection keeps the stream open, and a pipe would be waited for until it ends.
        with tempfile.TemporaryFile() as said:
            code = self._log_in(self.host.arguments(*options), None if asks else LOGIN_SECONDS, said.fileno())
            if code != 0:
                said.seek(0)
                raise ssh_error(self.host, said.read().decode(errors="replace"))

    def _log_in(self, argv: list[str], seconds: float | None, stderr: int) -> int:
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, timeout=seconds
            )
        except FileNotFoundError:
            raise NotReadyError(
                "OpenSSH's client is not installed here, and the engine is reached by it",
                "Install it: sudo apt-get install openssh-client",
            ) from None
        except subprocess.TimeoutExpired:
            raise ssh_error(self.host, "timed out") from None
        return done.returncode

    def alive(self) -> bool:
        """True when the connection is there."""
        return self.control.exists() and self._control("-O", "check").returncode == 0

    def run(self, script: str) -> str:
        """Standard output of a POSIX sh script there. Raises NotReadyError or TimedOutError when it fails."""
        argv = ["ssh", *CONTROL_ONLY, "-S", str(self.control), "--", self.host.host, "exec sh -s"]
        try:
            done = subprocess.run(argv, input=script.encode(), capture_output=True, timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            raise TimedOutError(
                f"{self.host.host} does not answer any more", f"See what holds it up: {self.host.login}"
            ) from None
        if done.returncode != 0:
            raise ssh_error(self.host, done.stderr.decode(errors="replace"))
        return done.stdout.decode(errors="surrogateescape")

    def forward(self, local: str, far: str) -> None:
        """Let `local` (a socket's path, or 127.0.0.1:PORT) lead to `far` there. Raises NotReadyError when it cannot."""
        done = self._control("-O", "forward", "-L", f"{local}:{far}")
        if done.returncode != 0:
            raise ssh_error(self.host, done.stderr.decode(errors="replace"))

    def banner(self, port: int, seconds: float) -> bytes:
        """The first bytes that 127.0.0.1:PORT there says; empty where nothing answers."""
        argv = ["ssh", *CONTROL_ONLY, "-S", str(self.control), "-W", f"127.0.0.1:{port}", "--", self.host.host]
        here, there = socket.socketpair()
        with (
            here,
            subprocess.Popen(argv, stdin=there.fileno(), stdout=there.fileno(), stderr=subprocess.DEVNULL) as process,
        ):
            there.close()
            here.settimeout(seconds)
            try:
                return here.recv(16)
            except OSError:
                return b""
            finally:
                process.kill()

    def close(self) -> None:
        """Log out: every forwarding ends. Harmless where the connection is gone."""
        if self.control.exists():
            self._control("-O", "exit")
        with suppress(OSError):
            self.control.unlink(missing_ok=True)

    def _control(self, *options: str) -> subprocess.CompletedProcess[bytes]:
        argv = ["ssh", *CONTROL_ONLY, "-S", str(self.control), *options, "--", self.host.host]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS)
