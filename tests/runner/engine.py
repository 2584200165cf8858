"""An engine for the time of the tests: the one that answers, else one that is started and stopped again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.endpoint import resolve_endpoint
from launcher.errors import LauncherError
from launcher.progress import Progress
from launcher.setup.perform import ensure_engine
from launcher.setup.probe import EngineState, ask_engine
from launcher.setup.steps import PID_FILE, SOCKET
from tests.waiting import DEADLINE_SECONDS, eventually, has_ended


@contextmanager
def running_engine(*, wanted: bool, strict: bool) -> Iterator[bool]:
    """Yields whether an engine answers. Only root starts one, and only what was started here is stopped.

    Raises LauncherError in strict mode when there is none.
    """
    url = resolve_endpoint(os.environ).url
    before = ask_engine(url).state
    if not wanted or before in (EngineState.ANSWERS, EngineState.UNKNOWN):
        yield wanted
        return
    started = False
    try:
        started = _start(strict)
        yield started
    finally:
        if started:
            stop_engine()


def _start(strict: bool) -> bool:
    try:
        ensure_engine(Progress(), consent=os.geteuid() == 0)
    except LauncherError as error:
        if strict:
            raise
        print(f"no engine, so its tests are skipped: {error.cause}", file=sys.stderr)
        return False
    return True


def stop_engine() -> None:
    """Stop the engine that set-up started, and wait until its processes and its socket are gone."""
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "stop", "docker.socket", "docker.service"])
        return
    pid = int(Path(PID_FILE).read_text())
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if not eventually(lambda: has_ended(pid)):
        print(f"the engine (process {pid}) did not stop within {DEADLINE_SECONDS:.0f} s", file=sys.stderr)
        return
    Path(SOCKET).unlink(missing_ok=True)
