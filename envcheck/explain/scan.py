"""From pieces of text to the first line that shows each pattern. Linear in time; memory bounded by the patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from envcheck.explain.mention import is_mention
from envcheck.explain.patterns import Pattern
from envcheck.explain.place import Flat, Place
from envcheck.explain.prefilter import Prefilter, Wanted
from envcheck.explain.reading import Piece
from envcheck.explain.view import Found, View

# A pattern whose literal is common in this text, but never what it asks for, is after so many misses looked at only
# where a word that it needs is near, and after more only in whole lines.
TRUST = 20
PATIENCE = 300
# Forms of lines, and of lines with what is around them, that none of their patterns matches: they are passed over.
FORMS = 50_000
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
        # Patterns that have their hit, or are looked for in whole lines only.
        self._worn: set[int] = set()
        self._hopeless: set[int] = set()
        self._undecided: set[int] = set()
        self._repeating = False

    def scan(self, pieces: Iterable[Piece]) -> tuple[Hit, ...]:
        """Every pattern that the text shows, once, at the first line that shows it."""
        for piece in pieces:
            self._scan(Flat(piece))
        return tuple(self._hits.values())

    def _scan(self, flat: Flat) -> None:
        row, found = 0, self._prefilter.first(flat.text, 0)
        while found is not None:
            while flat.ends[row + 1] <= found[0]:
                row += 1
            if flat.piece.start + row >= flat.piece.stop:
                break
            found = self._judge(Place(flat, row), found)

    def _judge(self, place: Place, found: tuple[int, Wanted] | None) -> tuple[int, Wanted] | None:
        """Tries the patterns of each literal on the line, of which `found` is the first; returns the next literal."""
        if self._repeating and self._is_hopeless(place):
            return self._prefilter.first(place.flat.text, place.end)
        judged: set[tuple[int, int]] = set()
        count, settled, decided = 0, True, True
        while found is not None and found[0] < place.end:
            offset, wanted = found
            worn = wanted.numbers <= self._worn
            if not (worn and wanted.doubt is not None and not place.says(wanted.doubt, offset, wrapped=False)):
                if not judged and self._is_hopeless(place):
                    return self._prefilter.first(place.flat.text, place.end)
                decided = self._try_all(wanted, place, offset, judged) and decided
            count, settled = count + 1, settled and worn
            found = self._prefilter.first(place.flat.text, offset + 1)
        # A form is worth its price where there was more to do than one glance.
        if settled and place.short and (judged or count > 1) and not self._is_hopeless(place):
            self._remember(place, decided)
        return found

    def _is_hopeless(self, place: Place) -> bool:
        """Whether such a line was judged before; whether it was is what is expected of the next one."""
        if not self._worn or not place.short:
            return False
        form = place.surroundings if place.form in self._undecided else place.form
        self._repeating = form in self._hopeless
        return self._repeating

    def _try_all(self, wanted: Wanted, place: Place, offset: int, judged: set[tuple[int, int]]) -> bool:
        """Whether the line alone decides that none of the patterns matches."""
        decided, span = True, place.span(offset)
        for pattern, telling in wanted.patterns:
            if pattern.number not in self._hits and (pattern.number, span) not in judged:
                judged.add((pattern.number, span))
                decided = self._try(pattern, telling, place, offset) and decided
        return decided

    def _try(self, pattern: Pattern, telling: re.Pattern[bytes] | None, place: Place, offset: int) -> bool:
        """Whether the line alone decides that the pattern does not match."""
        misses, wrapped = self._misses.get(pattern.number, 0), pattern.number not in self._worn
        found = None
        if misses < TRUST or telling is None or place.says(telling, offset, wrapped=wrapped):
            view = place.view(offset)
            found = view.search(pattern.expression, wrapped=wrapped)
            if found is not None and _stands(pattern, view, found):
                self._hits[pattern.number] = Hit(pattern, place.flat.piece.first + found.first, view.evidence(found))
                self._worn.add(pattern.number)
                return True
        self._misses[pattern.number] = misses + 1
        if misses >= PATIENCE:
            self._worn.add(pattern.number)
        return found is None

    def _remember(self, place: Place, decided: bool) -> None:
        for forms in (self._hopeless, self._undecided):
            if len(forms) >= FORMS:
                forms.clear()
        if decided:
            self._hopeless.add(place.form)
        else:
            self._undecided.add(place.form)
            self._hopeless.add(place.surroundings)


def _stands(pattern: Pattern, view: View, found: Found) -> bool:
    """Whether what was found is evidence, by the rest of its line and the lines around."""
    start, end = max(0, found.start - BESIDE), found.end + BESIDE
    if pattern.exclusion is not None and pattern.exclusion.search(found.text, start, end):
        return False
    if pattern.surroundings is not None and not pattern.surroundings.search(view.around()):
        return False
    return not is_mention(view, found)
