"""Standard streams that are closed, full or no longer read: no traceback, and nobody else's bytes in them."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr is closed (`launcher ls >&-`).

    Otherwise the next socket takes the free number, and receives what is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def discard_output() -> None:
    """What could not be written must not be tried again when the interpreter ends.

    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def flush_or_discard() -> None:
    """Write what is left; where that fails the exit code must not change with it."""
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()
