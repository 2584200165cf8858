"""Any file or pipe as pieces of whole lines: bounded memory, whatever the encoding and however long a line is."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

PIECE = 1 << 18
# Of a line longer than this many pieces only these and its end are looked at.
LONGEST = 8
# Lines before and after a line by which its meaning is judged: each line is judged once, when these are there.
AROUND = 12
# Of an overlong line its last bytes are shown again with what follows.
OVERLAP_BYTES = 4096
# What is read to see whether a byte order mark is one: text of 16 or 32 bits has zero bytes, garbage may have none.
HEAD = 256
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Terminal codes, as they are and as JSON, Python, and syslog write them:
# https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
ESCAPE = rb"(?:\x1b|\\u001b|\\x1b|\\033|#033)"
TERMINAL_CODES = re.compile(
    ESCAPE + rb"(?:\[[0-9;?<=>]{0,32}[@-~]|\][^\x07\x1b\n]{0,512}(?:\x07|\x1b\\)|[()][0-9AB]|[=>78cDEHM])",
    re.IGNORECASE,
)
# journalctl -o json writes a message with control characters as an array of bytes.
BYTE_ARRAY = re.compile(rb'"MESSAGE"\s?:\s?\[\s?((?:\d{1,3}\s?,\s?){8,65536}\d{1,3})\s?\]')


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive lines without terminal codes, of which those from `start` to before `stop` are to be judged.

    The others are their surroundings. `first` is the number of the first line, counted from 1.
    """

    lines: list[bytes]
    first: int
    start: int
    stop: int


class _Window:
    """The lines that are at hand: judged ones that are still surroundings, then those that wait for theirs."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._first = 1
        self._judged = 0

    def add(self, lines: list[bytes], *, last: bool = False) -> Piece:
        """The next lines, as a piece that judges all whose surroundings are complete; all of them with `last`."""
        self._drop(self._judged - AROUND)
        self._lines += lines
        stop = len(self._lines) if last else max(self._judged, len(self._lines) - AROUND)
        piece = Piece(list(self._lines), self._first, self._judged, stop)
        self._judged = stop
        return piece

    def part(self, line: bytes) -> Piece:
        """A part of an overlong line, which stands alone; the line's end follows as the next line."""
        self._drop(len(self._lines))
        return Piece([line], self._first, 0, 1)

    def _drop(self, count: int) -> None:
        if count > 0:
            del self._lines[:count]
            self._first += count
            self._judged -= count


def pieces(stream: BinaryIO, size: int = PIECE) -> Iterator[Piece]:
    """The whole of `stream`, in pieces of about `size` bytes. Raises OSError where reading fails."""
    window, rest, parts = _Window(), b"", 0
    for data in iter(_decoded(stream, size), b""):
        rest += data
        end = rest.rfind(b"\n") + 1
        if end:
            yield window.add(_clean(rest[: end - 1]).split(b"\n"))
            rest, parts = rest[end:], 0
        elif len(rest) > size:
            if parts == 0:
                yield window.add([], last=True)
            if parts < LONGEST:
                yield window.part(_clean(rest))
            rest, parts = rest[-OVERLAP_BYTES:], parts + 1
    yield window.add(_clean(rest).split(b"\n") if rest else [], last=True)


def _clean(data: bytes) -> bytes:
    data = data.replace(b"\r\n", b"\n")
    if b"\0" in data:
        # Padding, or UTF-16 without a byte order mark.
        data = data.replace(b"\0", b"")
    if b"\x1b" in data or b"#033[" in data or b"\\u001b[" in data or b"\\x1b[" in data or b"\\033[" in data:
        data = TERMINAL_CODES.sub(b"", data)
    if b'"MESSAGE"' in data:
        data = BYTE_ARRAY.sub(lambda found: b'"MESSAGE":"' + _from_array(found.group(1)) + b'"', data)
    return data


def _from_array(numbers: bytes) -> bytes:
    text = bytes(int(number) & 0xFF for number in numbers.split(b","))
    return TERMINAL_CODES.sub(b"", text).replace(b"\n", b"\\n")


def _decoded(stream: BinaryIO, size: int) -> Callable[[], bytes]:
    """What reads the next bytes as UTF-8 (or as they are, where no byte order mark says otherwise)."""
    head = stream.read(HEAD)
    mark, encoding = next(((mark, name) for mark, name in BOMS if head.startswith(mark)), (b"", "utf-8"))
    if encoding != "utf-8" and b"\0" not in head:
        mark, encoding = b"", "utf-8"
    pending = [head[len(mark) :]]
    decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)("replace")

    def read() -> bytes:
        data = pending.pop() if pending and pending[0] else stream.read(size)
        if decoder is None:
            return data
        while data:
            text = decoder.decode(data)
            if text:
                return text.encode("utf-8", "replace")
            data = stream.read(size)
        return b""

    return read
