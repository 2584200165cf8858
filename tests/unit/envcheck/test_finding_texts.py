"""What findings tell beyond status and cause: which card, which number, which command. Machines are invented."""

from __future__ import annotations

import pytest

from envcheck.checks import BY_ID
from envcheck.facts import Facts
from tests.unit.envcheck.texts import cards, host, wheel

TEXTS = [*host.TEXTS, *cards.TEXTS, *wheel.TEXTS]


@pytest.mark.parametrize(
    ("check", "facts", "said", "unsaid"), [pytest.param(*row, id=f"{row[0]}: {' '.join(row[2])}") for row in TEXTS]
)
def test_a_finding_says_what_the_user_needs(
    check: str, facts: Facts, said: tuple[str, ...], unsaid: tuple[str, ...]
) -> None:
    finding = BY_ID[check].judge(facts)
    text = "\n".join([finding.summary, *finding.evidence, *finding.fix])
    assert [words for words in said if words not in text] == [], text
    assert [words for words in unsaid if words in text] == [], text
