"""Run a long command: its lines as they come, a tick each second in between, and no process left behind."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

TAIL_LINES = 200
TICK_SECONDS = 1.0
GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Finished:
    """Exit code and the last lines of a command; `stalled` when it was ended for saying nothing."""

    code: int
    tail: tuple[str, ...]
    stalled: bool = False


def run_streaming(
    argv: Sequence[str],
    on_line: Callable[[str | None], None],
    *,
    environment: Mapping[str, str] | None = None,
    stall_seconds: float | None = None,
) -> Finished:
    """Run `argv`, handing each line of stdout and stderr to `on_line`, and None each second without one.

    An exception in here (Ctrl-C among them) interrupts the whole process group and waits for it. Raises OSError when
    `argv` cannot be started.
    """
    process = subprocess.Popen(
        list(argv),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    stalled = False
    try:
        stalled = not _follow(lines, tail, on_line, stall_seconds)
    finally:
        if stalled or process.poll() is None:
            _end(process, wait_first=not stalled and not reader.is_alive())
        reader.join(GRACE_SECONDS)
    return Finished(process.wait(), tuple(tail), stalled)


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None  # noqa: S101 - opened with a pipe above
    for line in process.stdout:
        lines.put(line.rstrip())
    lines.put(None)


def _follow(
    lines: queue.Queue[str | None], tail: deque[str], on_line: Callable[[str | None], None], stall: float | None
) -> bool:
    """False when nothing was said for `stall` seconds."""
    heard = time.monotonic()
    while True:
        try:
            line = lines.get(timeout=TICK_SECONDS)
        except queue.Empty:
            if stall is not None and time.monotonic() - heard > stall:
                return False
            on_line(None)
            continue
        if line is None:
            return True
        heard = time.monotonic()
        tail.append(line)
        on_line(line)


def _end(process: subprocess.Popen[str], *, wait_first: bool) -> None:
    if wait_first:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
