"""Where in a piece of text a literal stands: its line, its neighbourhood, and the form that both have."""

from __future__ import annotations

import re
from itertools import accumulate

from envcheck.explain.reading import AROUND, Piece
from envcheck.explain.view import REACH, SPAN, WRAPPED, View

# Around a line: white space, the frame of a traceback ("\u2502").
MARGIN = b" \t\r\xe2\x94\x82"
# What differs between lines of one form: times, hashes, addresses, sizes. Numbers of up to three digits are kept: Xids
# and CUDA's errors are among them.
VARYING = re.compile(
    rb"[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?|[0-9]{1,20}\.[0-9]{1,20}|[0-9a-f]{7,40}|[0-9]{4,20}|0x[0-9a-f]{1,20}"
)


class Flat:
    """The judged lines of a piece and what follows them, joined without line ends, in lower case.

    So a message is found over the place where a terminal wrapped it.
    """

    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        self.rows = piece.lines[piece.start : piece.stop + WRAPPED]
        self._stripped = [line.strip(MARGIN) for line in self.rows]
        self.ends = [0, *accumulate(map(len, self._stripped))]
        self.text = b"".join(self._stripped).lower()
        self._forms: dict[int, int] = {}

    def form(self, index: int) -> int:
        """Equal for lines that differ only in what varies."""
        form = self._forms.get(index)
        if form is None:
            line = self.piece.lines[index].strip(MARGIN).lower()
            form = self._forms[index] = hash(VARYING.sub(b"0", line[:SPAN]))
        return form


class Place:
    """One judged line: `row` counts from the first judged one."""

    __slots__ = ("_view", "begin", "end", "flat", "index", "row", "short")

    def __init__(self, flat: Flat, row: int) -> None:
        self.flat, self.row = flat, row
        self.index = flat.piece.start + row
        self.begin, self.end = flat.ends[row], flat.ends[row + 1]
        # Whether its form says all of the line.
        self.short = self.end - self.begin <= SPAN
        self._view: View | None = None

    @property
    def form(self) -> int:
        """Equal for lines that differ only in what varies."""
        return self.flat.form(self.index)

    @property
    def surroundings(self) -> int:
        """Equal for lines that differ, like all the lines around them, only in what varies."""
        lines = range(max(0, self.index - AROUND), min(len(self.flat.piece.lines), self.index + AROUND + 1))
        return hash((self.index - lines.start, *map(self.flat.form, lines)))

    def span(self, offset: int) -> int:
        """Which part of a long line."""
        return (offset - self.begin) // SPAN

    def view(self, offset: int) -> View:
        """The line, to be judged as what a program wrote, around a byte of the flat text."""
        line = self.flat.rows[self.row]
        at = offset - self.begin + len(line) - len(line.lstrip(MARGIN))
        if self._view is None or self._view.place != (self.index, at // SPAN):
            self._view = View(self.flat.piece.lines, self.index, at)
        return self._view

    def says(self, expression: re.Pattern[bytes], offset: int, *, wrapped: bool) -> bool:
        """Whether the expression is found in the line, or (`wrapped`) where it may go on."""
        start, stop = self.begin, self.end
        if wrapped:
            ends = self.flat.ends
            start, stop = ends[max(0, self.row - WRAPPED)], ends[min(self.row + WRAPPED + 1, len(ends) - 1)]
        if stop - start > REACH:
            start, stop = max(start, offset - REACH), min(stop, offset + REACH)
        return expression.search(self.flat.text, start, stop) is not None
