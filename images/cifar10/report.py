"""What a person sees while waiting: a bar on a terminal, plain lines on a pipe, nothing from the other ranks."""

import io
import os
import sys
import threading
from typing import Any

from tqdm import tqdm

TERMINAL_INTERVAL, PIPE_INTERVAL = 0.2, 15.0  # seconds
LINE = "{desc}  {percentage:.0f} %  {n_fmt}/{total_fmt}{unit}  {rate_fmt}  {remaining} left{postfix}"


def ranks() -> tuple[int, ...]:
    """Rank, size, local rank and local size, as torchrun sets them; those of one process where it did not."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    environ = os.environ if {*names[:2]} <= os.environ.keys() else {}
    return tuple(int(environ.get(name, alone)) for name, alone in zip(names, "0101", strict=True))


def say(line: str) -> None:
    """Print one line at once, above the bar, on the first rank."""
    if ranks()[0] == 0:
        with Bar.external_write_mode(sys.stderr):
            print(line, file=sys.stderr, flush=True)


class Bar(tqdm):
    """tqdm, gone when it is done; on a pipe a line every PIPE_INTERVAL seconds. Cheap to update in every step."""

    monitor_interval = 0  # a thread of its own would take its share of the only CPU

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - tqdm's own
        self.piped = not sys.stderr.isatty()
        interval = PIPE_INTERVAL if self.piped else TERMINAL_INTERVAL
        options |= {"mininterval": interval, "miniters": 1, "smoothing": 0, "leave": False, "disable": ranks()[0] > 0}
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


Bar.set_lock(threading.RLock())  # tqdm's own is one with forked processes': whoever is killed in it would keep it
