"""Names the causes that a text shows: a log, a traceback, what a program printed. Reads only the text."""

from __future__ import annotations

import io
from functools import cache
from typing import BinaryIO

from envcheck.explain.match import Match
from envcheck.explain.patterns import patterns
from envcheck.explain.prefilter import Prefilter
from envcheck.explain.rank import ranked
from envcheck.explain.reading import pieces
from envcheck.explain.scan import Scanner

__all__ = ["Match", "explain_stream", "explain_text"]


def explain_text(text: str) -> tuple[Match, ...]:
    """The causes that `text` shows, the root cause first; empty where none is recognised. Never raises."""
    return explain_stream(io.BytesIO(text.encode("utf-8", "replace")))


def explain_stream(stream: BinaryIO) -> tuple[Match, ...]:
    """As explain_text, for a file of any size and encoding. Raises OSError where it cannot be read."""
    return ranked(Scanner(_prefilter()).scan(pieces(stream)))


@cache
def _prefilter() -> Prefilter:
    return Prefilter(patterns())
