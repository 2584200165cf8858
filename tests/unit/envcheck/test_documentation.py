"""The failure catalogue: every known failure has a check or a reason, and the README shows it as it is."""

from __future__ import annotations

import pytest

from envcheck.causes import causes
from envcheck.checks import BY_ID
from envcheck.documentation import BEGIN, END, README, Failure, catalogue_table, failures, rendered

# Sections of the catalogue and how many failures are known in each; a row is added, never dropped.
KNOWN = {
    "Driver, kernel and CUDA": 22,
    "Python and the wheel": 11,
    "Containers": 13,
    "Several GPUs and NCCL": 13,
    "Health: it works, but not well, or not for long": 7,
}


def test_the_readme_is_not_stale() -> None:
    text = README.read_text(encoding="utf-8")
    assert rendered(text) == text, "run: python -m envcheck.documentation"


def test_no_known_failure_was_dropped() -> None:
    rows = failures()
    assert {section: sum(row.section == section for row in rows) for section in KNOWN} == KNOWN
    assert len({row.symptom for row in rows}) == len(rows)


@pytest.mark.parametrize("row", failures(), ids=lambda row: row.symptom[:40])
def test_a_failure_is_found_by_a_check_or_says_why_not(row: Failure) -> None:
    assert row.checks or row.note, "neither a check nor a reason"
    assert [check for check in row.checks if check not in BY_ID] == []
    assert [cause for cause in row.causes if cause not in causes()] == []


def test_every_check_that_can_fail_is_in_the_catalogue() -> None:
    found = {check for row in failures() for check in row.checks}
    describing = {"nvidia-hardware", "nccl-version", "torch-compile"}
    assert set(BY_ID) - found == describing


def test_a_failure_nobody_can_detect_is_shown_as_such() -> None:
    table = catalogue_table()
    assert "not detectable" in table
    assert table.count("\n| ") >= len(failures())


def test_a_readme_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no marks"):
        rendered(f"{BEGIN} and no end")
    assert rendered(f"a {BEGIN} old {END} b").startswith("a <!--")
