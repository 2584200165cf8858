"""One scan over the bytes for every literal of every pattern: what makes 100 MB of log a matter of seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from envcheck.explain.patterns import Pattern


@dataclass(slots=True)
class Node:
    """One character of literals, in a tree: the scan looks at each position once, however many literals there are.

    `spaced`: white space may stand before it; `final`: a literal ends here.
    """

    spaced: bool = False
    final: bool = False
    rest: dict[str, Node] = field(default_factory=dict)


class Prefilter:
    """Finds where patterns may match. Expects lower-case bytes; white space inside a literal may be missing."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._wanted: dict[bytes, list[Pattern]] = {}
        root = Node()
        for pattern in patterns:
            for literal in pattern.text:
                self._wanted.setdefault(_key(literal.encode()), []).append(pattern)
                _insert(root, literal)
        self._expression = re.compile(_expression(root).encode())
        self._prefixes: dict[bytes, tuple[Pattern, ...]] = {}

    def find(self, flat: bytes) -> Iterator[tuple[int, tuple[Pattern, ...]]]:
        """Each offset at which literals begin, and the patterns that ask for them."""
        search = self._expression.search
        found = search(flat)
        while found is not None:
            yield found.start(), self._patterns(_key(found.group()))
            found = search(flat, found.start() + 1)

    def _patterns(self, key: bytes) -> tuple[Pattern, ...]:
        # The longest literal is found; shorter ones that begin with it are there as well.
        known = self._prefixes.get(key)
        if known is None:
            ends = range(1, len(key) + 1)
            unique = {pattern.number: pattern for end in ends for pattern in self._wanted.get(key[:end], ())}
            known = self._prefixes[key] = tuple(unique.values())
        return known


def _key(literal: bytes) -> bytes:
    return literal.replace(b" ", b"").replace(b"\t", b"")


def _insert(node: Node, literal: str) -> None:
    spaced = False
    for character in literal:
        if character == " ":
            spaced = True
            continue
        node = node.rest.setdefault(character, Node())
        node.spaced, spaced = node.spaced or spaced, False
    node.final = True


def _expression(node: Node) -> str:
    branches = [
        (r"[ \t]{0,9}" if following.spaced else "") + re.escape(character) + _expression(following)
        for character, following in node.rest.items()
    ]
    if not branches:
        return ""
    joined = branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
    return f"(?:{joined})?" if node.final else joined
