"""What is being proven, on stderr: one line that is redrawn on a terminal, one line a step on a pipe."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field
from typing import TextIO

CLEAR_LINE = "\r\x1b[2K"


@dataclass(slots=True)
class Progress:
    """Hears the runner. A closed stream must not stop the work."""

    stream: TextIO
    _now: dict[str, str] = field(default_factory=dict)

    def step(self, text: str) -> None:
        """A new group of programs."""
        self._now.clear()
        self._write(f"{CLEAR_LINE}{text}" if self._terminal() else f"{text}\n")

    def stage(self, program: str, stage: str) -> None:
        """A program begins a stage."""
        self._now[program] = stage
        if self._terminal():
            line = "  ".join(f"{name}: {current}" for name, current in self._now.items())
            self._write(CLEAR_LINE + line[: shutil.get_terminal_size().columns - 1])

    def close(self) -> None:
        """Take the line away."""
        if self._terminal():
            self._write(CLEAR_LINE)

    def _terminal(self) -> bool:
        return self.stream.isatty()

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(text)
            self.stream.flush()
