"""What a text must contain for a cause to be named: the rows of patterns/*.toml, compiled when first needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from envcheck.explain.words import Alternatives, required_words
from envcheck.tables import load_table

TABLES = ("hardware", "driver", "cuda", "build", "libraries", "nccl", "container", "engine", "remote", "program")


@dataclass(frozen=True)
class Pattern:
    """One row. `text` are lower-case literals, one of which must be there; a space in one stands for any white space.

    `match` is a regular expression that must be found too, `unless` one that must not, both in the same line;
    `near` must be found within the lines around it. `confidence` is how surely the row alone tells the cause.
    `why` and `fix` replace the catalogue's where this text tells more than the cause does. `digits` is a number that
    stands by itself in whatever matches.
    """

    number: int
    cause: str
    text: tuple[str, ...]
    confidence: float
    source: str
    match: str | None = None
    unless: str | None = None
    near: str | None = None
    why: str | None = None
    fix: tuple[str, ...] = ()
    digits: str | None = None

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """What has to be found in the line: `match`, else one of the literals as whole words."""
        return _compile(self.match or "|".join(map(_words, self.text)))

    @cached_property
    def words(self) -> Alternatives:
        """Alternatives of words, all of one of which are in whatever the expression matches."""
        return required_words(self.expression.pattern)

    @cached_property
    def exclusion(self) -> re.Pattern[str] | None:
        """`unless`, compiled."""
        return _compile(self.unless) if self.unless else None

    @cached_property
    def surroundings(self) -> re.Pattern[str] | None:
        """`near`, compiled."""
        return _compile(self.near) if self.near else None


@cache
def patterns() -> tuple[Pattern, ...]:
    """Every row of every table."""
    rows = (row for table in TABLES for row in load_table(f"explain/patterns/{table}.toml")["pattern"])
    return parse((*rows, *_numbered(load_table("explain/patterns/numbers.toml"))))


def _numbered(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each number of the table, which says once how programs print them."""
    for row in table["number"]:
        frame, number = table[row["frame"]], str(row["number"])
        rest = {key: value for key, value in row.items() if key not in ("frame", "number")}
        yield {**rest, "text": frame["text"], "match": frame["match"].replace("NUMBER", number), "digits": number}


def parse(rows: Iterable[dict[str, Any]]) -> tuple[Pattern, ...]:
    """Rows as the tables hold them. Raises TypeError for an unknown key: a mistake in a table."""
    return tuple(_pattern(number, row) for number, row in enumerate(rows))


def _pattern(number: int, row: dict[str, Any]) -> Pattern:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Pattern(number, **values)


def _compile(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)


def _words(literal: str) -> str:
    spaced = r"\s{0,9}".join(map(re.escape, literal.split(" ")))
    before = r"(?<![a-z0-9_])" if literal[0].isalnum() else ""
    after = r"(?![a-z0-9_])" if literal[-1].isalnum() else ""
    return f"{before}{spaced}{after}"
