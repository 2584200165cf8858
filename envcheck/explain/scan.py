"""From pieces of text to the first line that shows each pattern. Linear in time; memory bounded by the patterns."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from envcheck.explain.mention import is_mention
from envcheck.explain.patterns import Pattern
from envcheck.explain.prefilter import Prefilter
from envcheck.explain.reading import Piece
from envcheck.explain.view import SPAN, WRAPPED, Found, View

# A pattern whose literal is common in this text, but never what it asks for, is from then on looked for in whole lines
# only, and in each form of line once. Forms keep numbers of up to three digits: Xids and CUDA's errors are among them.
PATIENCE = 500
FORMS = 50_000
# Around a line: white space, and the frame of a traceback ("\u2502").
MARGIN = b" \t\r\xe2\x94\x82"
# How far from what was found `unless` is looked for: a line of JSON may hold a whole log.
BESIDE = 100


@dataclass(frozen=True, slots=True)
class Hit:
    """The first line, counted from 1, that shows `pattern`."""

    pattern: Pattern
    line: int
    evidence: str


class Scanner:
    """Collects hits piece by piece."""

    def __init__(self, prefilter: Prefilter) -> None:
        self._prefilter = prefilter
        self._hits: dict[int, Hit] = {}
        self._misses: dict[int, int] = {}
        self._forms: set[tuple[int, int]] = set()

    def scan(self, pieces: Iterable[Piece]) -> tuple[Hit, ...]:
        """Every pattern that the text shows, once, at the first line that shows it."""
        for piece in pieces:
            self._scan(piece)
        return tuple(self._hits.values())

    def _scan(self, piece: Piece) -> None:
        # Line ends vanish, so that a message is found over the place where a terminal wrapped it.
        lines = piece.lines[piece.start : piece.stop + WRAPPED]
        stripped = [line.strip(MARGIN) for line in lines]
        ends = list(accumulate(map(len, stripped)))
        seen: set[tuple[int, int, int]] = set()
        view: View | None = None
        for offset, wanting in self._prefilter.find(b"".join(stripped).lower()):
            if all(pattern.number in self._hits for pattern in wanting):
                continue
            row = bisect_right(ends, offset)
            index = piece.start + row
            if index >= piece.stop:
                break
            own = offset - ends[row] + len(stripped[row]) + len(lines[row]) - len(lines[row].lstrip(MARGIN))
            for pattern in wanting:
                key = (pattern.number, index, own // SPAN)
                if pattern.number in self._hits or key in seen:
                    continue
                seen.add(key)
                if view is None or view.place != (index, own // SPAN):
                    view = View(piece.lines, index, own)
                self._try(pattern, view, piece.first)

    def _try(self, pattern: Pattern, view: View, first: int) -> None:
        common = self._misses.get(pattern.number, 0) >= PATIENCE
        form = (pattern.number, view.form) if common else None
        if form in self._forms:
            return
        found = view.search(pattern.expression, wrapped=not common)
        if found is not None and _stands(pattern, view, found):
            self._hits[pattern.number] = Hit(pattern, first + found.first, view.evidence(found))
            return
        self._misses[pattern.number] = self._misses.get(pattern.number, 0) + 1
        # What the lines around decided may be decided otherwise elsewhere.
        if form is not None and found is None:
            self._remember(form)

    def _remember(self, form: tuple[int, int]) -> None:
        if len(self._forms) >= FORMS:
            self._forms.clear()
        self._forms.add(form)


def _stands(pattern: Pattern, view: View, found: Found) -> bool:
    """Whether what was found is evidence, by the rest of its line and the lines around."""
    start, end = max(0, found.start - BESIDE), found.end + BESIDE
    if pattern.exclusion is not None and pattern.exclusion.search(found.text, start, end):
        return False
    if pattern.surroundings is not None and not pattern.surroundings.search(view.around()):
        return False
    return not is_mention(view, found)
