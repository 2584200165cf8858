"""SIGINT, SIGTERM and SIGHUP as one exception, so that every `finally` and rollback runs before we go."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Raised in the main thread; the exit code is 128 + the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)

    @property
    def code(self) -> int:
        return 128 + int(self.signal)


def raise_on_signals() -> None:
    """Install the handlers; a signal that was ignored (nohup) stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def ignore_signals() -> None:
    """For the last words after an interruption, which one more Ctrl-C must not turn into a traceback."""
    for number in SIGNALS:
        if signal.getsignal(number) is _raise:
            signal.signal(number, signal.SIG_IGN)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals back until the block has ended, then let the last one happen.

    For a step and the registration of its undo, which a signal in between would part; for the undoing itself, which a
    second Ctrl-C must not cut short; and for a request to the engine: an exception out of a signal handler in the
    middle of a connection pool leaves its lock held for ever. Blocks may be nested: the outermost one decides.
    """
    held: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    changed = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    if threading.current_thread() is not threading.main_thread():
        changed = {}
    for number in changed:
        signal.signal(number, lambda received, _: held.append(received))
    try:
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[-1])
