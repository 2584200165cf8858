"""Runs the few programs whose answer is in no file (dmesg, journalctl, systemctl). Tests give a runner of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

TIMEOUT = 3.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended. `returncode` is None where it did not run or did not end; `error` then says why."""

    returncode: int | None
    stdout: str = ""
    error: str = ""


Runner = Callable[[Sequence[str]], Ran]


def run(argv: Sequence[str]) -> Ran:
    """Run `argv` for at most three seconds, in English, without input. Never raises."""
    environ = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=environ,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return Ran(None, error=f"{argv[0]} did not answer within {TIMEOUT:.0f} s")
    except OSError as error:
        return Ran(None, error=f"{argv[0]}: {error.strerror or error}")
    return Ran(done.returncode, done.stdout, done.stderr.strip())


def no_programs(argv: Sequence[str]) -> Ran:
    """The runner for an injected root: this machine's programs would tell about this machine."""
    return Ran(None, error=f"{argv[0]} is not run for an injected root")
