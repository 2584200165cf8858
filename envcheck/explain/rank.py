"""From hits to causes, the root cause first: lower layers of the GPU's path before what fails because of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from envcheck.causes import cause as catalogued
from envcheck.explain.masking import masked
from envcheck.explain.match import Match
from envcheck.explain.scan import Hit
from envcheck.tables import load_table

# A row that is less sure than this is a guess: it is told only where nothing surer is found.
SURE = 0.6
# How much less sure a match is where an earlier one explains it.
CONSEQUENCE = 0.5


@dataclass(frozen=True, slots=True)
class Rank:
    """Where a cause stands: `position` in the order of root causes, and the check that looks at it."""

    position: int
    layer: str
    check: str | None


@cache
def ranks() -> dict[str, Rank]:
    """Every cause by id, in order."""
    rows = load_table("explain/ranking.toml")["cause"]
    return {row["id"]: Rank(position, row["layer"], row.get("check")) for position, row in enumerate(rows)}


@cache
def _explains() -> dict[str, frozenset[str]]:
    return {row["name"]: frozenset(row["explains"]) for row in load_table("explain/ranking.toml")["layer"]}


def ranked(hits: Iterable[Hit]) -> tuple[Match, ...]:
    """One match a cause, best first; confidence never rises down the list."""
    matches: list[Match] = []
    best = _best(hits)
    sure = [hit for hit in best if hit.pattern.confidence >= SURE]
    for hit in sorted(sure or best, key=_order):
        origin = next((other.cause for other in matches if _explained(hit.pattern.cause, other)), None)
        confidence = hit.pattern.confidence * (CONSEQUENCE if origin else 1)
        if matches:
            confidence = min(confidence, matches[-1].confidence)
        matches.append(_match(hit, round(confidence, 2), origin))
    return tuple(matches)


def _best(hits: Iterable[Hit]) -> list[Hit]:
    """The surest hit of each cause; among equals the first in the text."""
    best: dict[str, Hit] = {}
    for hit in sorted(hits, key=lambda hit: (-hit.pattern.confidence, hit.line)):
        best.setdefault(hit.pattern.cause, hit)
    return list(best.values())


def _order(hit: Hit) -> int:
    return ranks()[hit.pattern.cause].position


def _explained(cause: str, by: Match) -> bool:
    return ranks()[cause].layer in _explains()[ranks()[by.cause].layer]


def _match(hit: Hit, confidence: float, origin: str | None) -> Match:
    row = catalogued(hit.pattern.cause)
    return Match(
        cause=row.id,
        check=ranks()[row.id].check,
        confidence=confidence,
        line=hit.line,
        evidence=masked(hit.evidence),
        why=hit.pattern.why or row.why,
        fix=hit.pattern.fix or row.fix,
        reference=row.reference,
        caused_by=origin,
    )
