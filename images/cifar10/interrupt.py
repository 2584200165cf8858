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
    """`number` is the signal that asked to stop, 0 while none did."""

    def __init__(self) -> None:
        self.number = 0

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Signal handler."""
        self.number = number
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Turn the first signal into a StopRequest for the block's duration; the second ends the process at once."""
    request = StopRequest()
    with _handled_by(request.note):
        yield request


@contextmanager
def signals_as_errors() -> Iterator[None]:
    """Raise StoppedError when a signal comes during the block, also as process 1 of a container."""
    with _handled_by(_stop):
        yield


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise StoppedError(number, "stopped before training, nothing was lost", "start the same command again")


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
