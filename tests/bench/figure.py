"""One measured figure, how it is timed, and the table of all of them."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in `unit` is the median of `runs`; `baseline` the same for what it is compared with, where there is such.

    `budget` bounds the value, or its ratio to the baseline where there is one.
    """

    what: str
    value: float
    unit: str
    budget: float
    runs: int
    baseline: float | None = None
    against: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.baseline is None else self.value / self.baseline

    def cells(self) -> tuple[str, str, str, str, str]:
        """What, measured, against, budget, runs: as the table shows them."""
        measured = f"{_number(self.value)} {self.unit}"
        if self.baseline is None or self.ratio is None:
            return self.what, measured, "", f"{_number(self.budget)} {self.unit}", str(self.runs)
        against = f"{_number(self.baseline)} {self.unit} ({self.against}): {_number(self.ratio)} x"
        return self.what, measured, against, f"{_number(self.budget)} x", str(self.runs)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def markdown(figures: Sequence[Figure]) -> str:
    """The table as the README shows it."""
    rows = [("what", "measured", "against, in the same run", "budget", "runs"), *(figure.cells() for figure in figures)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def median_seconds(call: Callable[[], object], runs: int) -> float:
    """The median of `runs` calls, after one that does not count."""
    call()
    return statistics.median(seconds(call) for _ in range(runs))


def interleaved(first: Callable[[], float], second: Callable[[], float], runs: int) -> tuple[float, float]:
    """Medians of two measurements taken in turn, so that a slow minute of the machine meets both."""
    pairs = [(first(), second()) for _ in range(runs)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def quiet(*command: str, cwd: str | None = None, environ: dict[str, str] | None = None) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout
