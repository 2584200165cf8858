"""Runs the programs of children/ and turns however they end into values."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envcheck.facts import Crash
from envcheck.probes.records import Records

STDERR_KEPT = 2000
# cuInit brings up every card; without persistence mode eight of them take a while.
LIBRARY_SECONDS = 40.0
PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
# The package is appended, so that it can hide nothing the child means to import.
BARE = "import sys; sys.path.append(sys.argv.pop(1)); from {0} import main; main()"
# With -c the working directory is first on the path: a stray torch.py or json.py there must not be imported.
HOSTED = "import sys; del sys.path[0]; sys.path.append(sys.argv.pop(1)); from {0} import main; main()"


@dataclass(frozen=True, slots=True)
class Ended:
    """What a child reported, stage by stage, and the crash that ended it, if one did."""

    stages: dict[str, dict[str, Any]]
    crash: Crash | None

    def value(self, stage: str, key: str) -> Any:  # noqa: ANN401  (a JSON value)
        """One reported value, None where the stage was not reached."""
        return self.stages.get(stage, {}).get(key)


class Child:
    """A started child; several can run at once. `finish` waits, kills what does not end, and never raises."""

    def __init__(self, argv: list[str], environ: Mapping[str, str] | None = None) -> None:
        self._error = ""
        self._process: subprocess.Popen[str] | None = None
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=dict(environ) if environ is not None else None,
                start_new_session=True,
            )
        except OSError as error:
            self._error = str(error)

    def finish(self, timeout: float) -> Ended:
        """Wait at most `timeout` seconds."""
        if self._process is None:
            return Ended({}, Crash("start", stderr=self._error))
        timed_out = False
        try:
            stdout, stderr = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
            stdout, stderr = _kill(self._process)
        records = Records()
        # A process that was killed may have left its last line unended.
        for _ in records.feed(f"{stdout}\n".encode()):
            pass
        if self._process.returncode == 0 and not timed_out:
            return Ended(records.stages, None)
        return Ended(records.stages, _crash(self._process.returncode, records.place, stderr, timed_out))


def library_timeout(environ: Mapping[str, str]) -> float:
    """Seconds a driver library may take to answer: ENVCHECK_TIMEOUT where it is a number above zero."""
    try:
        seconds = float(environ.get("ENVCHECK_TIMEOUT", ""))
    except ValueError:
        return LIBRARY_SECONDS
    # "nan" and "inf" are numbers for float(), but no times to wait.
    return seconds if 0 < seconds < math.inf else LIBRARY_SECONDS


def start_bare(module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Child:
    """Start `module` of this package in this interpreter, isolated, without its installed packages."""
    return Child([sys.executable, "-I", "-S", "-c", BARE.format(module), PACKAGE_PARENT, *arguments], environ)


def start_hosted(python: str, module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Child:
    """Start `module` of this package in `python`, with the packages that are installed for it."""
    return Child([python, "-c", HOSTED.format(module), PACKAGE_PARENT, *arguments], environ)


def _crash(returncode: int | None, stage: str, stderr: str, timed_out: bool) -> Crash:
    name = None
    if returncode is not None and returncode < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-returncode).name
    return Crash(stage, None if timed_out else name, timed_out, returncode, stderr[-STDERR_KEPT:].strip())


def _kill(process: subprocess.Popen[str]) -> tuple[str, str]:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        return process.communicate(timeout=5)
    except subprocess.TimeoutExpired as error:
        # A process stuck inside the kernel driver cannot even be killed; report it rather than wait for ever.
        output = error.stdout or b""
        return (output.decode("utf-8", "replace") if isinstance(output, bytes) else output), "cannot be killed"
