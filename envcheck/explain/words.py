"""The words without which an expression cannot match: what tells a near miss apart before it is looked at closely.

The idea is that of FilteredRE2 (https://github.com/google/re2/blob/main/re2/filtered_re2.h): an expression becomes
alternatives, each a set of words that must all be there. Spaces and punctuation are no part of words, because a
terminal may have wrapped the line there, and JSON may have written them otherwise.
"""

from __future__ import annotations

import re

# More alternatives than this say too little for what they cost.
MOST = 64
WORD = re.compile(r"[a-z0-9_]{3,}|[0-9]{1,2}")
QUANTIFIER = re.compile(r"[*?+]|\{(\d*)(?:,\d*)?\}")
CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]")
GROUP = re.compile(r"\((?:\?(?:P<\w+>|:|(?P<aside>=|!|<=|<!)))?")

Words = frozenset[str]
Alternatives = frozenset[Words]
ANYTHING: Alternatives = frozenset((frozenset(),))


def required_words(expression: str) -> Alternatives:
    """Alternatives of lower-case words, all of one of which are in whatever matches."""
    return _alternatives(expression, 0)[0]


def telling_words(alternatives: Alternatives, literal: str) -> frozenset[str] | None:
    """Words one of which stands beside `literal` in whatever matches; None where none has to."""
    beside = [[word for word in words if word not in literal.replace(" ", "")] for words in alternatives]
    return frozenset(max(words, key=lambda word: (len(word), word)) for words in beside) if all(beside) else None


def _alternatives(text: str, at: int) -> tuple[Alternatives, int]:
    """What stands from `at` up to the end of its group, and where that is."""
    found: set[Words] = set()
    while True:
        branch, at = _sequence(text, at)
        found |= branch
        if at >= len(text) or text[at] == ")":
            return frozenset(found), at
        at += 1


def _sequence(text: str, at: int) -> tuple[Alternatives, int]:
    needed, run = ANYTHING, ""
    while at < len(text) and text[at] not in "|)":
        literal, inner, at = _atom(text, at)
        least, at = _least(text, at)
        if literal and least:
            run += literal
        if not literal or least != 1:
            needed, run = _both(needed, _said(run)), ""
        if least:
            needed = _both(needed, inner)
    return _both(needed, _said(run)), at


def _atom(text: str, at: int) -> tuple[str, Alternatives, int]:
    """A literal character, or what a group needs; classes and assertions need nothing. And where it ends."""
    if opened := GROUP.match(text, at):
        inner, end = _alternatives(text, opened.end())
        return "", ANYTHING if opened["aside"] else inner, end + 1
    if closed := CLASS.match(text, at):
        return "", ANYTHING, closed.end()
    if text[at] == "\\":
        return "" if text[at + 1].isalnum() else text[at + 1], ANYTHING, at + 2
    return "" if text[at] in ".^$" else text[at].lower(), ANYTHING, at + 1


def _least(text: str, at: int) -> tuple[int, int]:
    """How often the atom before `at` is there at least (2 where it may repeat), and where its quantifier ends."""
    quantifier = QUANTIFIER.match(text, at)
    if quantifier is None:
        return 1, at
    end = quantifier.end()
    end += text[end : end + 1] == "?"
    least = {"*": 0, "?": 0, "+": 2}.get(quantifier.group(), 2 if int(quantifier.group(1) or 0) else 0)
    return least, end


def _said(run: str) -> Alternatives:
    return frozenset((frozenset(WORD.findall(run)),))


def _both(one: Alternatives, other: Alternatives) -> Alternatives:
    if len(one) * len(other) > MOST:
        return one if len(one) >= len(other) else other
    return frozenset(left | right for left in one for right in other)
