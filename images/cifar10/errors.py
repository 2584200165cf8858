"""What ends a run early: errors, each with one line of cause, one of next step and an exit code; and signals."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class TrainerError(Exception):
    """The run failed. `cause` says what happened and why, `next_step` what to do; exit code 1."""

    code = 1
    everywhere = False  # whether every rank has it, so that one of them need say so

    def __init__(self, cause: str, next_step: str) -> None:
        super().__init__(cause)
        self.cause, self.next_step = cause, next_step
        self.add_note(f"next: {next_step}")  # for who calls this from Python and sees a traceback


class UsageError(TrainerError):
    """The command line asks for something that cannot be; exit code 2."""

    code, everywhere = 2, True


class DeviceError(TrainerError):
    """The GPU that was asked for, or that is in the machine, cannot be used; exit code 3."""

    code = 3


class DivergedError(TrainerError):
    """The loss is no finite number any more; exit code 1."""

    everywhere = True


class StoppedError(TrainerError):
    """A signal ended the run; exit code 128 + the signal's number (130 for SIGINT, 143 for SIGTERM)."""

    everywhere = True

    def __init__(self, number: int, cause: str, next_step: str) -> None:
        super().__init__(f"{signal.Signals(number).name}: {cause}", next_step)
        self.code = 128 + number


def stop(number: int, _frame: FrameType | None) -> NoReturn:
    """Signal handler that raises StoppedError, also in process 1 of a container."""
    raise StoppedError(number, "stopped before training, nothing was lost", "start the same command again")


@contextmanager
def signals_handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Give SIGTERM and SIGINT to `handler` for the block's duration."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """A list that gets the first signal during the block; the second one ends the process at once."""
    noted: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)
        signal.signal(number, signal.SIG_DFL)

    with signals_handled_by(note):
        yield noted
