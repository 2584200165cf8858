"""Every failure a user can meet: one line of cause, one of next step, one exit code."""

from __future__ import annotations


class LauncherError(Exception):
    """A failure to report in two lines.

    `cause` says what happened and why, `next_step` what to do about it; `code` is the process's exit code;
    `cause_id` is an id of envcheck's catalogue where the failure is one it knows; `log` holds the last lines of
    whatever failed, shown above the two lines.
    """

    code = 1
    log = ""

    def __init__(self, cause: str, next_step: str, *, code: int | None = None, cause_id: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.next_step = next_step
        self.cause_id = cause_id
        if code is not None:
            self.code = code


class UsageError(LauncherError):
    """The command line, a name or a path is wrong; nothing was started."""

    code = 2


class NotReadyError(LauncherError):
    """The machine is not ready: engine, driver, GPU, image or disk."""

    code = 3


class RlimitRefusedError(NotReadyError):
    """The engine may not raise a resource limit: it runs rootless, or in a container itself."""


class ConflictError(LauncherError):
    """A name, port, GPU or environment belongs to somebody else."""

    code = 4


class GpuTakenError(ConflictError):
    """Another environment holds a GPU that was asked for."""


class ParserMissingError(LauncherError):
    """Python 3.10 before the launcher's packages are installed: it cannot read TOML."""


class TimedOutError(LauncherError):
    """Something did not answer within its deadline."""

    code = 5
