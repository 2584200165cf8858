"""SIGTERM and SIGINT: outside training an error, during training a request to save and stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from cifar10.errors import StoppedError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """`number` is the signal that asked to stop, 0 while none did; the second one ends the process at once."""

    number = 0

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Signal handler."""
        self.number = number
        signal.signal(number, signal.SIG_DFL)


def stop(number: int, _frame: FrameType | None) -> NoReturn:
    """Signal handler that raises StoppedError, also in process 1 of a container."""
    raise StoppedError(number, "stopped before training, nothing was lost", "start the same command again")


@contextmanager
def signals_handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Give SIGTERM and SIGINT to `handler` for the block's duration."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
