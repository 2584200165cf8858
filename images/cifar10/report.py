"""What a person sees while waiting: a bar on a terminal, plain lines on a pipe, nothing on the other ranks."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

TERMINAL_INTERVAL = 0.2  # seconds
PIPE_INTERVAL = 15.0


class Bar:
    """How far something is; cheap to call on every step: it draws every `interval` seconds, first after `wait`."""

    def __init__(self, draw: Callable[[int, str], object], interval: float, wait: float = 0.0) -> None:
        self.draw, self.interval, self.next = draw, interval, time.monotonic() + wait

    def update(self, done: int, text: str) -> None:
        """Now at `done`; `text` is shown beside it."""
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + self.interval
            self.draw(done, text)


class Display:
    """Messages and bars on `stream` (stderr); `enabled` is False on every rank but the first."""

    def __init__(self, stream: TextIO | None = None, enabled: bool = True) -> None:
        self.stream, self.enabled = stream or sys.stderr, enabled

    def say(self, line: str) -> None:
        """Print one line at once."""
        if self.enabled:
            print(line, file=self.stream, flush=True)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Bar]:
        """A bar of `total` units during the block, gone after it; on a pipe a line every PIPE_INTERVAL seconds."""
        if not (self.enabled and self.stream.isatty()):
            line = lambda done, text: self.say(f"{label}  {100 * done // max(1, total)} %  {text}")  # noqa: E731
            yield Bar(line, PIPE_INTERVAL, wait=PIPE_INTERVAL)
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = (TextColumn(label), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[text]}"))
        # Redrawn by its caller: a refresh thread would take its share of the only CPU.
        with Progress(*columns, console=Console(file=self.stream), auto_refresh=False, transient=True) as progress:
            task = progress.add_task(label, total=total, text="")
            draw = lambda done, text: progress.update(task, completed=done, text=text, refresh=True)  # noqa: E731
            yield Bar(draw, TERMINAL_INTERVAL)


def clock(seconds: float) -> str:
    """A duration for people: 0:07, 3:20, 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
