"""The published peak rate of a card, for the share that a proof reached."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from envcheck.tables import load_table


@cache
def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = load_table("gputests/peaks.toml")["peak"]
    return rows


def peak(name: str, precision: str) -> float | None:
    """TFLOP/s of the card of this name in fp32, tf32 or bf16; None where they are not known.

    The whole name must fit: a laptop's or a MIG instance's is longer and its peak another.
    """
    for row in _rows():
        if re.fullmatch(row["name"], name):
            found = row.get(precision)
            return None if found is None else float(found)
    return None
