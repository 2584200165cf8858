"""The documented exit codes: the same for text and JSON."""

from __future__ import annotations

from envcheck.finding import Status
from envcheck.judge import Report

OK = 0
FAILED = 1
USAGE = 2
COULD_NOT_CHECK = 3


def exit_code(report: Report, *, strict: bool = False, require_gpu: bool = False) -> int:
    """0: ok, warn, no-gpu. 1: fail, a warning with `strict`. 3: could not check, no-gpu with `require_gpu`."""
    if report.verdict == "fail":
        return FAILED
    if report.verdict == "unknown" or (report.verdict == "no-gpu" and require_gpu):
        return COULD_NOT_CHECK
    warned = any(finding.status is Status.WARN for finding in report.findings)
    return FAILED if strict and warned else OK
