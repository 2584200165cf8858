"""What a command costs before it does anything, and what listing costs."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.environments import LAUNCHER, bench, simulated
from tests.bench.figure import Figure, median_seconds, quiet

RUNS = 15
ENVIRONMENTS = 20
MANY = 50


def figures() -> Iterator[Figure]:
    quiet(LAUNCHER, "--version")  # makes the environment
    help_seconds = median_seconds(lambda: quiet(LAUNCHER, "--help"), RUNS)
    yield Figure("`launcher --help`", help_seconds, "s", 0.10, RUNS)
    one, some, many = (_listing(count) for count in (1, ENVIRONMENTS, MANY))
    yield Figure(f"`launcher ls`, {ENVIRONMENTS} environments", some, "s", 0.25, RUNS)
    yield Figure(f"`launcher ls`, {MANY} environments", many, "s", 2.0, RUNS, one, "one environment")


def _listing(environments: int) -> float:
    with simulated(environments), bench() as own:
        return median_seconds(lambda: own.launcher("ls"), RUNS)
