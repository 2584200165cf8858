"""What a person sees while waiting: a bar on a terminal, plain lines on a pipe, nothing from the other ranks."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TERMINAL_INTERVAL, PIPE_INTERVAL = 0.2, 15.0  # seconds


def say(line: str) -> None:
    """Print one line at once, on the first rank."""
    if os.environ.get("RANK", "0") == "0":
        print(line, file=sys.stderr, flush=True)


@contextmanager
def bar(label: str, total: float, unit: str, start: float = 0) -> Iterator[Callable[..., None]]:
    """Yields update(done, note=""), cheap to call in every step, which shows how far, how fast and how long still.

    `total` and `done` count `unit`s, of which `start` were done before. On a terminal the bar is gone after the block.
    """
    terminal = sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"
    interval, begun = TERMINAL_INTERVAL if terminal else PIPE_INTERVAL, time.monotonic()
    due = begun if terminal else begun + interval

    def update(done: float, note: str = "") -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due, rate = now + interval, (done - start) / max(now - begun, 1e-9)
            left = clock((total - done) / rate) if rate else "?"
            draw(done, f"{note}{done:,.0f} of {total:,.0f} {unit}  {rate:,.0f} {unit}/s  {left} left")

    if not terminal:
        draw = lambda done, text: say(f"{label}  {100 * done / (total or 1):.0f} %  {text}")  # noqa: E731
        yield update
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn(label), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[text]}"))
    # Redrawn by its caller: a refresh thread would take its share of the only CPU.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task(label, total=total, text="")
        draw = lambda done, text: progress.update(task, completed=done, text=text, refresh=True)  # noqa: E731
        yield update


def clock(seconds: float) -> str:
    """A duration for people: 0:07, 3:20, 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
