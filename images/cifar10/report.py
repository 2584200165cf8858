"""What a person sees while waiting: a bar on a terminal, plain lines on a pipe, nothing on the other ranks."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

TERMINAL_INTERVAL = 0.2
PIPE_INTERVAL = 15.0


class Bar(Protocol):
    """Shows `done` of a total; cheap to call on every step."""

    def update(self, done: int, text: str) -> None: ...


class Display:
    """Messages and bars on `stream` (stderr); `enabled` is False on every rank but the first."""

    def __init__(self, stream: TextIO | None = None, enabled: bool = True) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.enabled = enabled

    def say(self, line: str) -> None:
        """Print one line at once."""
        if self.enabled:
            print(line, file=self.stream, flush=True)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Bar]:
        """A bar of `total` units for the duration of the block; it leaves no line behind."""
        if not self.enabled:
            yield _Silent()
        elif not self.stream.isatty():
            yield _Lines(self, label, total)
        else:
            with _terminal_bar(self.stream, label, total) as bar:
                yield bar


class _Silent:
    def update(self, done: int, text: str) -> None:
        pass


class _Lines:
    """One plain line every PIPE_INTERVAL seconds, none for what is done sooner."""

    def __init__(self, display: Display, label: str, total: int) -> None:
        self.display, self.label, self.total = display, label, total
        self.next = time.monotonic() + PIPE_INTERVAL

    def update(self, done: int, text: str) -> None:
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + PIPE_INTERVAL
            self.display.say(f"{self.label}  {100 * done // max(1, self.total)} %  {text}")


class _Rich:
    """A rich bar redrawn by the caller: a refresh thread would take its share of the only CPU."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress, self.task = progress, task
        self.next = 0.0

    def update(self, done: int, text: str) -> None:
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + TERMINAL_INTERVAL
            self.progress.update(self.task, completed=done, text=text)
            self.progress.refresh()


@contextmanager
def _terminal_bar(stream: TextIO, label: str, total: int) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn(label), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[text]}"))
    console = Console(file=stream)
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        yield _Rich(progress, progress.add_task(label, total=total, text=""))


def clock(seconds: float) -> str:
    """A duration for people: 0:07, 3:20, 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
