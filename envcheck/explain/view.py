"""A line and what is around it, made readable: only lines that the prefilter names come this far."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from envcheck.explain.prefix import without_prefix

# What is looked at of one line: this many bytes on each side of where a literal was found.
REACH = 1500
# Hits closer together than this on one long line are looked at together.
SPAN = 1000
# Lines before and after that a wrapped message may continue on, and that `near` and the lines' meaning are judged by.
WRAPPED = 2
AROUND = 12
AROUND_BYTES = 300
LONG_NUMBER = re.compile(rb"[0-9]{1,20}\.[0-9]{1,20}|[0-9]{4,20}|0x[0-9a-fA-F]{1,20}")
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

    @cached_property
    def form(self) -> int:
        """Equal for lines that differ only in long numbers: times, sizes, addresses."""
        return hash(LONG_NUMBER.sub(b"0", self._shown))

    def search(self, expression: re.Pattern[str], *, wrapped: bool) -> Found | None:
        """The expression in this line, else (`wrapped`) in this line put together with its neighbours."""
        found = expression.search(self.text)
        if found is not None:
            return Found(self.text, found.start(), found.end(), self.index, self.index)
        if not wrapped:
            return None
        return self._joined(expression, " ") or self._joined(expression, "")

    def _joined(self, expression: re.Pattern[str], glue: str) -> Found | None:
        first = max(0, self.index - WRAPPED)
        parts = [self.text if row == self.index else self._neighbour(row) for row in self._rows(WRAPPED)]
        starts, length = [], 0
        for part in parts:
            starts.append(length)
            length += len(part) + len(glue)
        own = self.index - first
        text = glue.join(parts)
        for found in expression.finditer(text):
            covered = [
                row
                for row, (start, part) in enumerate(zip(starts, parts, strict=True))
                if start < found.end() and start + len(part) > found.start()
            ]
            if own in covered:
                return Found(text, found.start(), found.end(), first + covered[0], first + covered[-1])
        return None

    def _rows(self, reach: int) -> range:
        return range(max(0, self.index - reach), min(len(self._lines), self.index + reach + 1))

    def _neighbour(self, row: int) -> str:
        line = self._lines[row]
        return readable(without_prefix(decoded(line[-REACH:] if row < self.index else line[:REACH])))

    def around(self) -> str:
        """The lines around, one a line, shortened."""
        return "\n".join(decoded(self._lines[row][:AROUND_BYTES]) for row in self._rows(AROUND))

    def before(self) -> list[str]:
        """The lines before this one, nearest first, without their prefixes."""
        rows = range(self.index - 1, max(-1, self.index - AROUND - 1), -1)
        return [without_prefix(decoded(self._lines[row][:AROUND_BYTES])) for row in rows]

    def evidence(self, found: Found) -> str:
        """The line, or the lines a wrapped message stands on, as they stood."""
        if found.first == found.last == self.index:
            return self.raw
        rows = range(found.first, found.last + 1)
        return " ".join((self.raw if row == self.index else decoded(self._lines[row][:REACH])).strip() for row in rows)


def decoded(line: bytes) -> str:
    """Text, whatever the bytes."""
    return line.decode("utf-8", "replace").replace("\r", " ")


def segment(line: bytes, offset: int) -> bytes:
    """What a terminal would have shown on this line where `offset` points: progress bars rewrite it after a CR."""
    start = max(0, offset - REACH, line.rfind(b"\r", 0, offset) + 1)
    end = line.find(b"\r", offset, offset + REACH)
    return line[start : offset + REACH if end < 0 else end]


def readable(text: str) -> str:
    """A message that was written as a JSON string, as the program wrote it."""
    if "\\" not in text:
        return text
    return JSON_ESCAPE.sub(lambda found: JSON_ESCAPES[found.group(1).lower()], text)
