"""A line and what is around it, made readable: only lines that the prefilter names come this far."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from envcheck.explain.prefix import split_prefix, without_prefix
from envcheck.explain.reading import AROUND

# What is looked at of one line: this many bytes on each side of where a literal was found.
REACH = 1500
# Hits closer together than this on one long line are looked at together.
SPAN = 1000
# What is shown of a long line, in characters.
SHOWN = 400
# Lines before and after that a wrapped message may continue on.
WRAPPED = 2
# Widths, in bytes, at which terminals and programs wrap lines.
NARROWEST = 20
WIDEST = 400
AROUND_BYTES = 300
JSON_ESCAPES = {
    "n": " ",
    "t": " ",
    "r": " ",
    "/": "/",
    '"': '"',
    "u003c": "<",
    "u003e": ">",
    "u0026": "&",
    "u0027": "'",
}
JSON_ESCAPE = re.compile(r'\\(u00(?:3c|3e|26|27)|[ntr/"])', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """Where an expression was found: the span in `text`, and the lines it covers, relative to the piece."""

    text: str
    start: int
    end: int
    first: int
    last: int


class View:
    """The line at `index` around byte `offset`, and its neighbours."""

    def __init__(self, lines: list[bytes], index: int, offset: int) -> None:
        self._lines = lines
        self.index = index
        self.place = (index, offset // SPAN)
        self._shown = segment(lines[index], offset)

    @cached_property
    def raw(self) -> str:
        """The line as it stood."""
        return decoded(self._shown)

    @cached_property
    def text(self) -> str:
        """The line without prefixes, as the program wrote it."""
        return readable(without_prefix(self.raw))

    def search(self, expression: re.Pattern[str], *, wrapped: bool) -> Found | None:
        """The expression in this line, else (`wrapped`) in this line put together with its neighbours."""
        found = expression.search(self.text)
        if found is not None:
            return Found(self.text, found.start(), found.end(), self.index, self.index)
        if not wrapped:
            return None
        return self._joined(expression, " ") or self._joined(expression, "")

    def _joined(self, expression: re.Pattern[str], glue: str) -> Found | None:
        rows = self._wrapped_rows
        if len(rows) == 1:
            return None
        parts = [self.text if row == self.index else self._neighbour(row)[1] for row in rows]
        starts = [0, *accumulate(len(part) + len(glue) for part in parts)]
        text = glue.join(parts)
        for found in expression.finditer(text):
            covered = [
                row
                for row, start, part in zip(rows, starts, parts, strict=False)
                if start < found.end() and start + len(part) > found.start()
            ]
            if self.index in covered:
                # What stands on a line above is not how this message begins.
                begin = starts[covered[0] - rows.start]
                return Found(text[begin:], found.start() - begin, found.end() - begin, covered[0], covered[-1])
        return None

    @cached_property
    def _wrapped_rows(self) -> range:
        """This line and those it may be wrapped together with."""
        first = last = self.index
        while self.index - first < WRAPPED and first > 0 and self._continued(first - 1):
            first -= 1
        while last - self.index < WRAPPED and last + 1 < len(self._lines) and self._continued(last):
            last += 1
        return range(first, last + 1)

    def _continued(self, row: int) -> bool:
        """Whether the line after `row` looks like the rest of it: the first word of that had no room here."""
        prefix, (next_prefix, rest) = self._neighbour(row)[0], self._neighbour(row + 1)
        if not rest or not prefix.strip().startswith(next_prefix.strip()):
            return False
        around = self._lines[max(0, row - WRAPPED) : row + WRAPPED + 2]
        widths = [width for width in (len(line.rstrip()) for line in around) if width <= WIDEST]
        taken = len(self._lines[row].rstrip())
        return NARROWEST <= taken <= WIDEST and max(widths) < taken + 2 + len(rest.split(maxsplit=1)[0])

    def _neighbour(self, row: int) -> tuple[str, str]:
        line = self._lines[row]
        prefix, text = split_prefix(decoded(line[-REACH:] if row < self.index else line[:REACH]))
        return prefix, readable(text)

    def around(self) -> str:
        """The lines around, one a line, shortened."""
        rows = self._lines[max(0, self.index - AROUND) : self.index + AROUND + 1]
        return "\n".join(decoded(line[:AROUND_BYTES]) for line in rows)

    def before(self) -> list[str]:
        """The lines before this one, nearest first, without their prefixes."""
        rows = range(self.index - 1, max(-1, self.index - AROUND - 1), -1)
        return [without_prefix(decoded(self._lines[row][:AROUND_BYTES])) for row in rows]

    def evidence(self, found: Found) -> str:
        """The line, or the lines a wrapped message stands on, as they stood."""
        if found.first == found.last == self.index:
            # Not where the literal stood: the view may have been made for another pattern's.
            return cut(self.raw.rstrip(), self._in_raw(found.start))
        rows = range(found.first, found.last + 1)
        return cut(" ".join(decoded(self._lines[row][:REACH]).strip() for row in rows), 0)

    def _in_raw(self, position: int) -> int:
        """Where in the line as it stood a position of `text` is."""
        written = without_prefix(self.raw)
        for escape in JSON_ESCAPE.finditer(written):
            if escape.start() >= position:
                break
            position += len(escape.group()) - 1
        return len(self.raw) - len(written) + position


def decoded(line: bytes) -> str:
    """Text, whatever the bytes."""
    return line.decode("utf-8", "replace").replace("\r", " ")


def segment(line: bytes, offset: int) -> bytes:
    """What a terminal would have shown on this line where `offset` points.

    Progress bars rewrite a line after a CR.
    """
    start = max(0, offset - REACH, line.rfind(b"\r", 0, offset) + 1)
    end = line.find(b"\r", offset, offset + REACH)
    return line[start : offset + REACH if end < 0 else end]


def cut(line: str, at: int) -> str:
    """A long line's words around position `at`: no half word, which could be half a secret."""
    if len(line) <= SHOWN:
        return line
    start, end = max(0, at - SHOWN // 3), max(0, at - SHOWN // 3) + SHOWN
    left = line.find(" ", start, at) + 1 or at if start > 0 else 0
    right = line.rfind(" ", at, end) if end < len(line) else len(line)
    return (
        ("... " if left else "") + line[left : right if right > left else end] + (" ..." if right < len(line) else "")
    )


def readable(text: str) -> str:
    """A message that was written as a JSON string, as the program wrote it."""
    if "\\" not in text:
        return text
    return JSON_ESCAPE.sub(lambda found: JSON_ESCAPES[found.group(1).lower()], text)
