"""The words that an expression needs: a line without them may be passed over, one that matches never."""

from __future__ import annotations

import io

import pytest

from envcheck.explain import explain_text
from envcheck.explain.patterns import Pattern, patterns
from envcheck.explain.prefilter import Prefilter
from envcheck.explain.rank import ranked
from envcheck.explain.reading import pieces
from envcheck.explain.scan import PATIENCE, TRUST, Scanner
from envcheck.explain.words import required_words, telling_words
from tests.unit.envcheck.explain.corpus import Case, cases

PREFILTER = Prefilter(patterns())
SHOWN = [*cases("public_*.txt"), *cases("wording_*.txt")]


@pytest.mark.parametrize(
    ("expression", "alternatives"),
    [
        ("out of memory", [{"out", "memory"}]),
        ("cuInit|nvmlInit_v2", [{"cuinit"}, {"nvmlinit_v2"}]),
        (r"errors?\b: (?:no|one) device", [{"error", "device"}, {"error", "one", "device"}]),
        (r"a{2,4}bcd(?:xyz)*efg", [{"bcd", "efg"}]),
        (r"(?<!not )found[\]\w]{1,3}(?=later)\.so", [{"found"}]),
        (r"code 35\b", [{"code", "35"}]),
        (r"\W.{0,9}", [set()]),
        (r"\(PCI[^)]{0,40}\): 79", [{"pci", "79"}]),
    ],
)
def test_every_alternative_and_only_what_must_be_there(expression: str, alternatives: list[set[str]]) -> None:
    assert {*map(frozenset, alternatives)} == required_words(expression)


def test_a_literal_is_no_news_beside_itself() -> None:
    assert telling_words(required_words("gpu out of memory|cuda out of memory"), "out of memory") == frozenset(
        ("gpu", "cuda")
    )
    assert telling_words(required_words("out of memory|cuda out of memory"), "out of memory") is None


@pytest.mark.parametrize("pattern", patterns(), ids=lambda pattern: f"{pattern.number} {pattern.cause}")
def test_whatever_matches_has_the_words(pattern: Pattern) -> None:
    for case in SHOWN:
        found = pattern.expression.search(case.text)
        if found is not None:
            text = found.group().lower()
            assert any(all(word in text for word in words) for words in pattern.words)


@pytest.mark.parametrize("case", SHOWN, ids=lambda case: case.name)
def test_many_near_misses_of_everything_hide_nothing(case: Case) -> None:
    scanner = Scanner(PREFILTER)
    scanner._misses = {pattern.number: TRUST for pattern in patterns()}
    matches = ranked(scanner.scan(pieces(io.BytesIO(case.text.encode()))))
    assert matches == explain_text(case.text)


def test_a_message_in_one_line_is_found_after_any_number_of_near_misses() -> None:
    bait = "".join(
        f"{number:x} unknown error 999 CUDA error, no space left on device\n" for number in range(3 * PATIENCE)
    )
    message = "RuntimeError: CUDA error 999: unknown error\n"
    (match,) = explain_text(bait + message + bait)
    assert (match.cause, match.line) == ("cuda-unknown-init", 3 * PATIENCE + 1)
