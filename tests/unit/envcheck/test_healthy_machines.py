"""No machine on which everything works gets a failure or a warning, however new or odd it is. All are invented."""

from __future__ import annotations

import pytest

from envcheck.facts import Facts
from envcheck.finding import Status
from envcheck.judge import judge
from tests.unit.envcheck.healthy_machines import CONTAINERS, HOSTS, WHEELS, WITHOUT_A_CARD

QUIET = (Status.OK, Status.SKIP)


@pytest.mark.parametrize(
    "facts", [pytest.param(facts, id=name) for name, facts in {**HOSTS, **WHEELS, **CONTAINERS}.items()]
)
def test_a_healthy_machine_is_ok(facts: Facts) -> None:
    report = judge(facts)
    assert [item for item in report.findings if item.status not in QUIET] == []
    assert report.verdict == "ok"


@pytest.mark.parametrize("facts", [pytest.param(facts, id=name) for name, facts in WITHOUT_A_CARD.items()])
def test_a_healthy_machine_without_a_card_to_use_is_no_gpu(facts: Facts) -> None:
    report = judge(facts)
    assert [item for item in report.findings if item.status not in QUIET] == []
    assert report.verdict == "no-gpu"
