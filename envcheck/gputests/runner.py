"""Runs the programs of programs/ side by side: a deadline for every stage, and a new process after a crash.

A stage that hangs, aborts or raises ends its process only; the stages after it run in a new one.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from envcheck.facts import Crash
from envcheck.probes.records import Records

TICK = 0.2
STDERR_KEPT = 2000
# Of a failed stage more is kept: below NCCL's line stand stack traces.
WORDS_KEPT = 100_000
# A GPU whose proofs hang one after another is not waited for any longer.
MOST_HANGS = 2
# How long a killed process is waited for: one that is stuck inside the kernel driver never ends.
KILL_SECONDS = 5.0
Observer = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """`command` is completed by the names of the stages still to run.

    `seconds` is what a stage may take, by the first word of its name; `""` is for any other, and between two of them.
    """

    name: str
    command: tuple[str, ...]
    stages: tuple[str, ...]
    seconds: Mapping[str, float]

    def limit(self, stage: str) -> float:
        """Seconds that `stage` may take."""
        return self.seconds.get(stage.split(" ")[0], self.seconds[""])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the processes of one program reported by stage, and how those that crashed ended.

    `words` is the end of standard error of the last one in which a stage raised.
    """

    stages: dict[str, dict[str, Any]]
    crashes: tuple[Crash, ...] = ()
    words: str = ""

    def crash(self, stage: str) -> Crash | None:
        """The crash in this stage."""
        return next((crash for crash in self.crashes if crash.stage == stage), None)


@dataclass(slots=True)
class _Running:
    """One process of a program, and what the processes before it left."""

    program: Program
    process: subprocess.Popen[bytes]
    stderr: IO[bytes]
    records: Records
    deadline: float
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    crashes: list[Crash] = field(default_factory=list)
    words: str = ""


def run_programs(programs: Sequence[Program], environ: Mapping[str, str], observe: Observer) -> list[Outcome]:
    """All outcomes, in the order given. `observe` hears program and stage as each begins.

    However this is left, by KeyboardInterrupt too, no process stays behind.
    """
    runner = _Runner(environ, observe)
    try:
        for program in programs:
            runner.start(program, program.stages)
        while runner.running:
            runner.turn()
    finally:
        runner.stop()
    return [runner.outcomes[program.name] for program in programs]


class _Runner:
    """The processes that run now, and the outcomes so far by the program's name."""

    def __init__(self, environ: Mapping[str, str], observe: Observer) -> None:
        self.running: list[_Running] = []
        self.outcomes: dict[str, Outcome] = {}
        self._environ, self._observe = dict(environ), observe
        self._selector = selectors.DefaultSelector()

    def start(self, program: Program, stages: Sequence[str], before: _Running | None = None) -> None:
        # In memory and not a pipe: nobody needs to read along. It is closed when the process has ended.
        stderr = open(os.memfd_create("stderr"), "r+b")  # noqa: SIM115, PTH123
        try:
            process = subprocess.Popen(
                [*program.command, *stages],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=self._environ,
                start_new_session=True,
            )
        except OSError as error:
            stderr.close()
            self.outcomes[program.name] = Outcome({}, (Crash("start", stderr=str(error)),))
            return
        item = _Running(program, process, stderr, Records(), time.monotonic() + program.limit(""))
        if before is not None:
            item.stages, item.crashes, item.words = before.stages, before.crashes, before.words
        self.running.append(item)
        os.set_blocking(_stdout(item).fileno(), False)
        self._selector.register(_stdout(item), selectors.EVENT_READ, item)

    def turn(self) -> None:
        """Read what has arrived, and take leave of what has ended or run out of time."""
        for key, _ in self._selector.select(TICK):
            self._read(key.data, key.fd)
        for item in [item for item in self.running if _has_ended(item)]:
            self._selector.unregister(_stdout(item))
            self.running.remove(item)
            left = _finish(item, self._hear)
            self.outcomes[item.program.name] = Outcome(item.stages, tuple(item.crashes), item.words)
            if left:
                self.start(item.program, left, item)

    def _read(self, item: _Running, descriptor: int) -> None:
        chunk = _drain(descriptor)
        if not chunk:
            # The pipe is closed and the process not yet gone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                item.process.wait(timeout=TICK)
        self._hear(item, chunk)

    def _hear(self, item: _Running, chunk: bytes) -> None:
        for stage in item.records.feed(chunk):
            if stage is not None:
                self._observe(item.program.name, stage)
            item.deadline = time.monotonic() + item.program.limit(stage or "")

    def stop(self) -> None:
        for item in self.running:
            _kill(item.process)
            item.stderr.close()
        self._selector.close()


def _stdout(item: _Running) -> IO[bytes]:
    if item.process.stdout is None:
        raise ValueError("started without a pipe")
    return item.process.stdout


def _drain(descriptor: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(descriptor, 1 << 16)
    return b""


def _has_ended(item: _Running) -> bool:
    return item.process.poll() is not None or time.monotonic() > item.deadline


def _finish(item: _Running, hear: Callable[[_Running, bytes], None]) -> tuple[str, ...]:
    """Take in what the process left; the stages that a new process is to run."""
    timed_out = item.process.poll() is None
    stuck = not _kill(item.process)
    while chunk := _drain(_stdout(item).fileno()):
        hear(item, chunk)
    _stdout(item).close()
    item.stages.update(item.records.stages)
    reported, place = item.records.stages, item.records.place
    # A library may also leave by exit(0) in the middle of a stage.
    if timed_out or item.process.returncode != 0 or item.records.open:
        text = "it cannot be killed" if stuck else _tail(item.stderr, STDERR_KEPT)
        item.crashes.append(_crash(item.process.returncode, place, text, timed_out))
    elif any("error" in values for values in reported.values()):
        item.words = _tail(item.stderr, WORDS_KEPT)
    item.stderr.close()
    done = {*reported, place}
    hangs = sum(crash.timed_out for crash in item.crashes)
    # No stage of the list was reached: a new process would not get further.
    if stuck or hangs >= MOST_HANGS or not done.intersection(item.program.stages):
        return ()
    return tuple(stage for stage in item.program.stages if stage not in item.stages and stage not in _crashed(item))


def _crashed(item: _Running) -> set[str]:
    return {crash.stage for crash in item.crashes}


def _crash(returncode: int | None, stage: str, stderr: str, timed_out: bool) -> Crash:
    name = None
    if returncode is not None and returncode < 0 and not timed_out:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-returncode).name
    return Crash(stage, name, timed_out, returncode, stderr)


def _tail(stderr: IO[bytes], kept: int) -> str:
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - kept))
    return stderr.read().decode("utf-8", "replace").strip()


def _kill(process: subprocess.Popen[bytes]) -> bool:
    """End the process and whatever it started; False where it cannot be ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(timeout=KILL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True
