"""What ends a run early: every error carries one line of cause, one line of next step and an exit code."""

from __future__ import annotations

import signal


class TrainerError(Exception):
    """The run failed. `cause` says what happened and why, `next_step` what to do; exit code 1."""

    code = 1

    def __init__(self, cause: str, next_step: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.next_step = next_step
        self.add_note(f"next: {next_step}")  # for who calls this from Python and sees a traceback


class UsageError(TrainerError):
    """The command line asks for something that cannot be; exit code 2."""

    code = 2


class DeviceError(TrainerError):
    """The GPU that was asked for, or that is in the machine, cannot be used; exit code 3."""

    code = 3


class StoppedError(TrainerError):
    """A signal ended the run; exit code 128 + the signal's number (130 for SIGINT, 143 for SIGTERM)."""

    def __init__(self, number: int, cause: str, next_step: str) -> None:
        super().__init__(f"{signal.Signals(number).name}: {cause}", next_step)
        self.code = 128 + number
