"""The tables of patterns: readable on every Python, each row with its source, each literal really looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

import envcheck.explain
from envcheck.causes import causes
from envcheck.explain.patterns import parse, patterns
from envcheck.explain.prefilter import Prefilter
from envcheck.tables import parse_subset

PACKAGE = Path(envcheck.explain.__file__).parent
TABLES = sorted([*PACKAGE.glob("patterns/*.toml"), PACKAGE / "ranking.toml"])


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.name)
def test_the_reader_for_python_3_10_reads_the_tables_as_a_toml_parser_does(table: Path) -> None:
    tomllib = pytest.importorskip("tomllib")
    text = table.read_text(encoding="utf-8")
    assert parse_subset(text) == tomllib.loads(text)
    assert len(text.splitlines()) <= 250 or table.name == "ranking.toml"


def test_every_row_is_of_a_public_cause_with_a_source_and_a_confidence() -> None:
    for pattern in patterns():
        assert pattern.cause in causes() and pattern.cause != "none"
        assert pattern.source and 0 < pattern.confidence < 1
        assert pattern.text and all(literal == literal.lower().strip() for literal in pattern.text)
        assert len(min(pattern.text, key=len)) >= 3, "too common to look for"


def test_every_expression_compiles() -> None:
    for pattern in patterns():
        assert pattern.expression is not None
        assert (pattern.exclusion is None) == (pattern.unless is None)
        assert (pattern.surroundings is None) == (pattern.near is None)


def found_numbers(prefilter: Prefilter, flat: bytes) -> list[int]:
    """Every pattern that some literal in the text asks for."""
    numbers: list[int] = []
    found = prefilter.first(flat, 0)
    while found is not None:
        numbers += found[1].numbers
        found = prefilter.first(flat, found[0] + 1)
    return numbers


def test_the_prefilter_finds_every_literal_with_its_white_space_changed_or_gone() -> None:
    prefilter = Prefilter(patterns())
    for pattern in patterns():
        for literal in pattern.text:
            for text in (literal, literal.replace(" ", ""), literal.replace(" ", "  ")):
                found = found_numbers(prefilter, text.encode())
                assert pattern.number in found, (literal, text)


def test_a_literal_alone_is_looked_for_as_whole_words() -> None:
    (pattern,) = parse([{"cause": "user-code", "text": ["bad thing"], "confidence": 0.9, "source": "invented"}])
    assert pattern.expression.search("a Bad  thing: x")
    assert not pattern.expression.search("a bad things") and not pattern.expression.search("abad thing")


def test_an_unknown_key_of_a_row_is_refused() -> None:
    row = {"cause": "user-code", "text": ["x"], "confidence": 0.9, "source": "invented", "mach": "x"}
    with pytest.raises(TypeError, match="mach"):
        parse([row])


@pytest.mark.parametrize(
    ("texts", "scanned"),
    [
        (("abcd", "abcdef", "cdefgh"), b"abcdefgh"),
        (("nvml error", "nvmlerror_unknown"), b"nvmlerror_unknown"),
        (("a bc", "ab cd"), b"ab cd"),
    ],
)
def test_literals_that_overlap_or_begin_alike_are_all_found(texts: tuple[str, ...], scanned: bytes) -> None:
    rows = [{"cause": "user-code", "text": [text], "confidence": 0.9, "source": "invented"} for text in texts]
    assert sorted(set(found_numbers(Prefilter(parse(rows)), scanned))) == list(range(len(texts)))
