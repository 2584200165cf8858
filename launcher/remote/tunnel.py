"""A port of the engine's machine on this one's loopback: an ssh process of its own that outlives the launcher."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import ConflictError, LauncherError
from launcher.ports import candidate_ports, is_free
from launcher.remote.master import Master
from launcher.remote.runtime import runtime_directory, short_name, tidy
from launcher.remote.ssh_host import SshHost
from launcher.state import State, write_atomically

LOCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Tunnel:
    """The tunnel of one environment. Its local port is remembered until `forget`, so that a bookmark stays good."""

    state: State
    host: SshHost
    url: str
    environment: str

    @property
    def _record(self) -> Path:
        return self.state.subdirectory("tunnels") / f"{short_name(self.state, self.url, self.environment)}.json"

    @property
    def _master(self) -> Master:
        return Master(self.host, runtime_directory() / f"{short_name(self.state, self.url, self.environment)}.ctl")

    def open(self, port: int) -> int:
        """The local port that leads to 127.0.0.1:`port` there; made anew where it is dead or led elsewhere.

        Raises NotReadyError or TimedOutError where the login fails, ConflictError without a free port here.
        """
        with self._lock():
            known, master = self.known(), self._master
            if known.get("port") == port and master.alive() and not is_free(known["local"]):
                return known["local"]
            master.close()
            master.open()
            try:
                local = self._forward(master, port, known.get("local", port))
            except BaseException:
                master.close()
                raise
            record = {"local": local, "port": port, "control": str(master.control), "host": self.host.host}
            write_atomically(self._record, json.dumps(record).encode())
            return local

    def _forward(self, master: Master, port: int, preferred: int) -> int:
        error: LauncherError = ConflictError(f"no port near {port} is free here", "End a program that listens there.")
        for local in candidate_ports(port, (), preferred):
            try:
                master.forward(f"127.0.0.1:{local}", f"127.0.0.1:{port}")
            except LauncherError as refused:
                # Taken between our look and ssh's; the next one then, unless the connection itself is the reason.
                if not master.alive():
                    raise
                error = refused
            else:
                return local
        raise error

    def known(self) -> dict[str, int]:
        """`local` and `port` of the last time, empty without one."""
        try:
            stored = json.loads(self._record.read_text())
            return {key: int(stored[key]) for key in ("local", "port")}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def close(self) -> None:
        """End it; the port is remembered."""
        self._master.close()
        tidy(runtime_directory())

    def forget(self) -> None:
        """End it, and forget its port."""
        self.close()
        for path in (self._record, self._record.with_suffix(".lock")):
            path.unlink(missing_ok=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        from filelock import FileLock

        with FileLock(self._record.with_suffix(".lock"), timeout=LOCK_SECONDS):
            yield


def close_all(state: State) -> None:
    """End every tunnel that this state directory made, whatever engine it leads to."""
    for record in (state.directory / "tunnels").glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError):
            stored = json.loads(record.read_text())
            Master(SshHost(stored["host"]), Path(stored["control"])).close()
