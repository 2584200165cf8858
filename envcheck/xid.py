"""NVIDIA's Xid numbers (xid.toml) as questions with one answer each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from envcheck.tables import load_table


@dataclass(frozen=True, slots=True)
class XidMeaning:
    """`kind` says how it is judged; a number that the table does not know is "unknown"."""

    number: int
    what: str
    kind: str


@cache
def _table() -> dict[str, Any]:
    return load_table("xid.toml")


def xid_catalogue() -> str:
    """Where NVIDIA documents every number."""
    return str(_table()["catalogue"]["source"])


def xid_meaning(number: int) -> XidMeaning:
    """What NVIDIA's catalogue says about `number`."""
    for row in _table()["xid"]:
        if row["number"] == number:
            return XidMeaning(number, row["what"], row["kind"])
    return XidMeaning(number, "not explained here", "unknown")
