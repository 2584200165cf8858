"""One scan over the bytes for every literal of every pattern: what makes 100 MB of log a matter of seconds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from envcheck.explain.patterns import Pattern
from envcheck.explain.words import telling_words

# Ways of writing literals, with more or less white space, that are remembered.
WRITTEN = 5_000


@dataclass(slots=True)
class Node:
    """One character of literals, in a tree: the scan looks at each position once, however many literals there are.

    `spaced`: white space may stand before it; `final`: a literal ends here.
    """

    spaced: bool = False
    final: bool = False
    rest: dict[str, Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The patterns that ask for a literal, each with an expression that text beside it must match, where one must.

    `doubt` is such an expression for all of them together: where it is not found none of them can match.
    """

    patterns: tuple[tuple[Pattern, re.Pattern[bytes] | None], ...]
    numbers: frozenset[int]
    doubt: re.Pattern[bytes] | None


@dataclass(frozen=True, slots=True)
class Telling:
    """What stands beside a literal in whatever matches: one of some numbers by itself, or one of some words."""

    numbers: frozenset[str]
    words: frozenset[str]

    @property
    def expression(self) -> re.Pattern[bytes]:
        alone = rf"(?<![0-9])(?:{'|'.join(sorted(self.numbers))})(?![0-9])"
        said = _any_of(sorted(self.words))
        return re.compile("|".join(([alone] if self.numbers else []) + ([said] if self.words else [])).encode())


class Prefilter:
    """Finds where patterns may match. Expects lower-case bytes; white space inside a literal may be missing."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._asked: dict[bytes, list[tuple[Pattern, Telling | None]]] = {}
        for pattern in patterns:
            for literal in pattern.text:
                self._asked.setdefault(_key(literal.encode()), []).append((pattern, _telling(pattern, literal)))
        self._expression = re.compile(_any_of(literal for pattern in patterns for literal in pattern.text).encode())
        self._wanted: dict[bytes, Wanted] = {}
        self._written: dict[bytes, Wanted] = {}

    def first(self, flat: bytes, start: int) -> tuple[int, Wanted] | None:
        """The first offset from `start` at which literals begin, and who asks for them."""
        found = self._expression.search(flat, start)
        if found is None:
            return None
        literal = found.group()
        wanted = self._written.get(literal)
        if wanted is None:
            wanted = self._by(_key(literal))
            if len(self._written) < WRITTEN:
                self._written[literal] = wanted
        return found.start(), wanted

    def _by(self, key: bytes) -> Wanted:
        # The longest literal is found; shorter ones that begin with it are there as well.
        known = self._wanted.get(key)
        if known is None:
            asked = [one for end in range(1, len(key) + 1) for one in self._asked.get(key[:end], ())]
            known = self._wanted[key] = _together(asked)
        return known


def _telling(pattern: Pattern, literal: str) -> Telling | None:
    if pattern.digits is not None:
        return Telling(frozenset((pattern.digits,)), frozenset())
    words = telling_words(pattern.words, literal)
    return None if words is None else Telling(frozenset(), words)


def _together(asked: list[tuple[Pattern, Telling | None]]) -> Wanted:
    unique: dict[int, tuple[Pattern, Telling | None]] = {}
    for pattern, telling in asked:
        unique.setdefault(pattern.number, (pattern, telling))
    told = [telling for _, telling in unique.values() if telling is not None]
    numbers = frozenset[str]().union(*(telling.numbers for telling in told))
    words = frozenset[str]().union(*(telling.words for telling in told))
    doubt = Telling(numbers, words).expression if len(told) == len(unique) else None
    patterns = tuple((pattern, telling.expression if telling else None) for pattern, telling in unique.values())
    return Wanted(patterns, frozenset(unique), doubt)


def _any_of(literals: Iterable[str]) -> str:
    root = Node()
    for literal in literals:
        _insert(root, literal)
    return _expression(root)


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
