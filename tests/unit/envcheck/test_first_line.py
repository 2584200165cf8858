"""The first two lines of the report: the cause that is really the first, and a step that can be taken as it stands."""

from __future__ import annotations

import pytest

from envcheck.causes import causes
from envcheck.judge import judge
from envcheck.report import render_text
from tests.unit.envcheck.faults import KERNEL, Fault
from tests.unit.envcheck.faults_above import FAULTS_ABOVE
from tests.unit.envcheck.faults_device import DEVICE

EVERY = {**KERNEL, **DEVICE, **FAULTS_ABOVE}


@pytest.mark.parametrize("fault", EVERY.values(), ids=EVERY.keys())
def test_a_fault_is_named_first_with_its_first_step(fault: Fault) -> None:
    facts, cause, fix = fault
    report = judge(facts)
    first = report.findings[0]
    assert (report.root_cause, first.cause) == (cause, cause), render_text(report, colour=False)
    assert first.fix[0].startswith(fix), first.fix
    headline, second = render_text(report, colour=False).splitlines()[:2]
    assert headline.startswith(f"envcheck: {report.verdict.upper()}: ")
    assert second == f"     fix: {first.fix[0]}"


@pytest.mark.parametrize("fault", EVERY.values(), ids=EVERY.keys())
def test_what_fails_besides_is_marked_as_a_consequence_or_is_a_fault_of_its_own(fault: Fault) -> None:
    report = judge(fault[0])
    for finding in report.findings[1:]:
        if finding.status.value in ("fail", "warn") and finding.check not in report.consequences:
            assert finding.fix, finding


def test_the_same_fault_seen_from_another_side_is_no_second_fault() -> None:
    for name in ("Fabric Manager is down", "a card that refuses work", "MIG without an instance", "faulty memory"):
        report = judge(EVERY[name][0])
        same = {item.check for item in report.findings if item.cause == report.root_cause}
        assert same - {report.findings[0].check} == set(report.consequences), name
        assert report.consequences, name


def test_every_step_of_the_catalogue_can_be_pasted() -> None:
    """What follows a command stands behind "#", where a shell passes it over."""
    for row in causes().values():
        for step in row.fix:
            assert "   (" not in step and "; or" not in step.split("   # ")[0], step
