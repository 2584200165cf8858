"""What the user sees while something long runs: always on stderr, plain lines on a pipe."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TextIO

CLEAR_LINE = "\r\x1b[2K"


@dataclass(frozen=True, slots=True)
class Phase:
    """One finished step of a command and its duration in seconds."""

    name: str
    seconds: float


@dataclass(slots=True)
class Progress:
    """Reports to `stream`; keeps the phases so that the result can list them."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    phases: list[Phase] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Print a lasting line."""
        self._write(f"{CLEAR_LINE}{line}\n" if self.on_terminal else f"{line}\n")

    def update(self, line: str) -> None:
        """Show where a long step is: replaced by the next line on a terminal, kept on a pipe."""
        if self.on_terminal:
            self._write(CLEAR_LINE + line[: shutil.get_terminal_size().columns - 1])
        else:
            self._write(line + "\n")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a step; it is listed even when it fails, and once when it is tried again."""
        started = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - started
            before = next((place for place, phase in enumerate(self.phases) if phase.name == name), None)
            if before is None:
                self.phases.append(Phase(name, seconds))
            else:
                self.phases[before] = Phase(name, self.phases[before].seconds + seconds)
            if self.on_terminal:
                self._write(CLEAR_LINE)

    @property
    def on_terminal(self) -> bool:
        """Whether somebody sees a line change."""
        return self.stream.isatty()

    def _write(self, text: str) -> None:
        # A closed stderr must not stop the work it reports on.
        with suppress(BrokenPipeError, ValueError, OSError):
            self.stream.write(text)
            self.stream.flush()
