"""The failure catalogue: what each public cause id means, why it happens, and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from envcheck.tables import load_table


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of causes.toml. `fix` holds one command or sentence a step."""

    id: str
    what: str
    why: str
    fix: tuple[str, ...]
    reference: str


@cache
def causes() -> dict[str, Cause]:
    """Every cause by id."""
    rows = load_table("causes.toml")["cause"]
    return {row["id"]: Cause(row["id"], row["what"], row["why"], tuple(row["fix"]), row["reference"]) for row in rows}


def cause(identifier: str) -> Cause:
    """The row of `identifier`. Raises KeyError for an id that is not public: a mistake in a check."""
    return causes()[identifier]
