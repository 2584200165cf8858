"""One line over several pytest runs, in pytest's own words."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

WIDTH = 80


@dataclass(frozen=True, slots=True)
class Summary:
    """What one run counted; `missing` when it ended before it could report."""

    where: str
    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    missing: bool = False

    @property
    def tests(self) -> int:
        return self.passed + self.failed + self.errors + self.skipped

    def line(self) -> str:
        if self.missing:
            return f"tests {self.where}: ended without a report"
        return f"tests {self.where}: {counts([self])}"


def read_summary(where: str, report: Path) -> Summary:
    """From pytest's --junitxml file; an expected failure is counted as skipped there."""
    if not report.exists():
        return Summary(where, missing=True)
    suite = ElementTree.parse(report).getroot().find("testsuite")  # noqa: S314 (pytest wrote it a moment ago)
    assert suite is not None
    tests, failed, errors, skipped = (int(suite.get(k, "0")) for k in ("tests", "failures", "errors", "skipped"))
    return Summary(where, max(tests - failed - errors - skipped, 0), failed, errors, skipped)


def counts(summaries: Iterable[Summary]) -> str:
    """As pytest says it: failures first, zeros left out."""
    each = list(summaries)
    words = (("failed", "failed"), ("passed", "passed"), ("skipped", "skipped"), ("errors", "errors"))
    totals = [(sum(getattr(summary, name) for summary in each), word) for name, word in words]
    return ", ".join(f"{total} {word}" for total, word in totals if total) or "no tests ran"


def closing_line(summaries: Iterable[Summary], seconds: float) -> str:
    """`==== 12 passed, 1 skipped in 3.21s ====`."""
    each = list(summaries)
    text = counts(each)
    if any(summary.missing for summary in each):
        text += ", a run ended without a report"
    return f" {text} in {seconds:.2f}s ".center(WIDTH, "=")
