"""What a person sees while waiting: a bar on a terminal, plain lines on a pipe, nothing from the other ranks."""

import io
import os
import sys
from typing import Any

from tqdm import tqdm

TERMINAL_INTERVAL, PIPE_INTERVAL = 0.2, 15.0  # seconds
LINE = "{desc}  {percentage:.0f} %  {n_fmt}/{total_fmt}{unit}  {rate_fmt}  {remaining} left{postfix}"


def is_quiet() -> bool:
    """Whether another rank speaks for this one."""
    return os.environ.get("RANK", "0") != "0"


def say(line: str) -> None:
    """Print one line at once."""
    if not is_quiet():
        print(line, file=sys.stderr, flush=True)


class Bar(tqdm):
    """tqdm, gone when it is done; on a pipe a line every PIPE_INTERVAL seconds. Cheap to update in every step."""

    monitor_interval = 0  # a thread of its own would take its share of the only CPU

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - tqdm's own
        self.piped = not sys.stderr.isatty()
        interval = PIPE_INTERVAL if self.piped else TERMINAL_INTERVAL
        options |= {"mininterval": interval, "miniters": 1, "smoothing": 0, "leave": False, "disable": is_quiet()}
        if self.piped:
            options |= {"file": io.StringIO(), "delay": interval, "bar_format": LINE}
        super().__init__(dynamic_ncols=True, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Show the bar as it is, or as `msg`; whether the cursor is in its line now."""
        if not self.piped:
            return super().display(msg, pos)
        if msg is None:
            say(str(self))
        return False
