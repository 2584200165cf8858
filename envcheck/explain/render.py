"""What people and scripts read: the root cause first, its fix in the second line."""

from __future__ import annotations

import json

from envcheck import SCHEMA_VERSION
from envcheck.causes import cause as catalogued
from envcheck.explain.match import Match

UNKNOWN = """envcheck explain: no known cause was recognised in this text
  It names no fault of the environment that envcheck knows. It may be one that it does not know, or a fault of
  the program itself.
  next: envcheck            (checks this machine)
        envcheck explain    (with more of the log: what came before the first error)"""
EMPTY = """envcheck explain: the text is empty
  next: COMMAND 2>&1 | envcheck explain"""


def render_json(matches: tuple[Match, ...]) -> str:
    """One JSON object; `matches` is empty where nothing is recognised."""
    document = {"schema_version": SCHEMA_VERSION, "matches": [match.to_json() for match in matches]}
    return json.dumps(document, indent=2)


def render_text(matches: tuple[Match, ...], *, colour: bool, empty: bool = False) -> str:
    """The whole text, without a trailing newline."""
    if not matches:
        return EMPTY if empty else UNKNOWN
    first = matches[0]
    lines = [f"envcheck explain: {_bold(catalogued(first.cause).what, colour)} [{first.cause}]"]
    if first.fix:
        lines.append(f"     fix: {first.fix[0]}")
    for match in matches:
        lines += ["", *_details(match, colour)]
    return "\n".join(lines)


def _details(match: Match, colour: bool) -> list[str]:
    what = catalogued(match.cause).what
    lines = [f"{_bold(match.cause, colour)}: {what} (sure to {match.confidence:.0%})"]
    lines.append(f"  seen  line {match.line}: {match.evidence}")
    if match.caused_by is not None:
        return [*lines, f"  fix   likely caused by {match.caused_by}: fix that first"]
    lines.append(f"  why   {match.why}")
    lines += [f"  {'fix' if index == 0 else '':<5} {step}" for index, step in enumerate(match.fix)]
    if match.check is not None:
        lines.append(f"  check envcheck list {match.check}")
    return [*lines, f"  docs  {match.reference}"]


def _bold(text: str, colour: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if colour else text
