"""The engine's socket of another machine, here: `unix://` for the SDK and the docker command, carried by ssh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import LauncherError, NotReadyError, TimedOutError
from launcher.remote.far_side import (
    LISTENERS,
    WHO_AND_WHERE,
    FarPath,
    FarSide,
    listening_ports,
    parse_far_side,
    parse_paths,
    paths_script,
)
from launcher.remote.master import Master
from launcher.remote.runtime import runtime_directory, short_name, tidy
from launcher.remote.ssh_host import SshHost
from launcher.setup.probe import EngineState, ask_engine
from launcher.state import State, write_atomically

IDLE_SECONDS = 300
UNREACHABLE = "docker-daemon-unreachable"


@dataclass(frozen=True, slots=True)
class RemoteEngine:
    """An open way to the engine of `master.host`; `socket` is the local end."""

    master: Master
    far: FarSide
    socket: Path

    @property
    def url(self) -> str:
        """For clients of the engine on this machine."""
        return f"unix://{self.socket}"

    def ports_in_use(self) -> set[int]:
        """TCP ports that are taken there."""
        return listening_ports(self._run(LISTENERS))

    def paths(self, paths: Sequence[str]) -> tuple[FarPath, ...]:
        """What the paths are there. Raises NotReadyError where the machine gives no sensible answer."""
        try:
            return parse_paths(paths, self._run(paths_script(paths)))
        except ValueError:
            raise NotReadyError(
                f"{self.master.host.host} does not say what is at {', '.join(paths)}", f"See: {self.master.host.login}"
            ) from None

    def banner(self, port: int, seconds: float) -> bytes:
        """The first bytes that a server on the loopback interface there says."""
        self.master.open()
        return self.master.banner(port, seconds)

    def close(self) -> None:
        """Log out and remove what belongs to the connection."""
        self.master.close()
        for path in (self.socket, _facts_file(self.socket)):
            path.unlink(missing_ok=True)
        tidy(self.socket.parent)

    def _run(self, script: str) -> str:
        self.master.open()
        return self.master.run(script)


def open_engine(url: str, environ: Mapping[str, str], state: State) -> RemoteEngine:
    """Reach the engine at an ssh:// address; at once where an earlier command's connection is still there.

    Raises UsageError for a bad address, NotReadyError or TimedOutError with the cause.
    """
    host = SshHost.parse(url, environ)
    base = runtime_directory() / short_name(state, url)
    socket, master = base.with_suffix(".sock"), Master(host, base.with_suffix(".ctl"), IDLE_SECONDS)
    far = parse_far_side(_known(_facts_file(socket)))
    if far is not None and ask_engine(f"unix://{socket}").state is EngineState.ANSWERS:
        return RemoteEngine(master, far, socket)
    try:
        master.open()
        tidy(socket.parent)
        said = master.run(WHO_AND_WHERE)
        far = _understood(host, said)
        there = engine_socket(host, far)
        # The path of an earlier connection that has ended; ssh would not bind over it.
        socket.unlink(missing_ok=True)
        master.forward(str(socket), there)
        _require_answer(host, there, ask_engine(f"unix://{socket}").state)
    except LauncherError:
        # A login that was refused the socket keeps its groups: the next try needs a new one.
        master.close()
        socket.unlink(missing_ok=True)
        tidy(socket.parent)
        raise
    write_atomically(_facts_file(socket), said.encode(errors="surrogateescape"))
    return RemoteEngine(master, far, socket)


def engine_socket(host: SshHost, far: FarSide) -> str:
    """The socket to use there. Raises NotReadyError where there is none, or none for this user. Pure."""
    if host.socket:
        return host.socket
    if far.usable:
        return far.usable[0]
    who = f"{far.uid}@{host.host}" if host.user is None else host.destination
    if far.refused:
        raise NotReadyError(
            f"{who} may not use the engine's socket {far.refused[0]} there",
            f"Ask an administrator of {host.host} to run: sudo usermod -aG docker USER, then run this again.",
            cause_id="docker-permission-denied",
        )
    raise NotReadyError(
        f"there is no Docker or Podman engine on {host.host}: none of its usual sockets exists",
        f"Start or install it there: {host.login}, then launcher setup",
        cause_id=UNREACHABLE,
    )


def _require_answer(host: SshHost, socket: str, state: EngineState) -> None:
    if state is EngineState.HANGS:
        raise TimedOutError(
            f"the engine at {socket} on {host.host} accepts connections but does not answer",
            f"Restart it there: {host.login} sudo systemctl restart docker",
            cause_id=UNREACHABLE,
        )
    if state is not EngineState.ANSWERS:
        raise NotReadyError(
            f"no engine answers at {socket} on {host.host}",
            f"Start it there: {host.login} sudo systemctl start docker   (or its sshd forbids socket forwarding)",
            cause_id=UNREACHABLE,
        )


def _understood(host: SshHost, said: str) -> FarSide:
    far = parse_far_side(said)
    if far is None:
        raise NotReadyError(
            f"{host.host} has no POSIX shell for this user, or its start-up files print and stop",
            f"This must print a number: {host.login} id -u",
        )
    return far


def _known(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""


def _facts_file(socket: Path) -> Path:
    return socket.with_suffix(".facts")
