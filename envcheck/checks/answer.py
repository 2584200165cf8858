"""How a check answers: findings with their cause's fix and reference filled in from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from envcheck.causes import cause as catalogued
from envcheck.finding import Finding, Status


def ok(check: str, summary: str, evidence: Iterable[str] = ()) -> Finding:
    """Looked at and found right."""
    return Finding(check, Status.OK, summary, evidence=tuple(evidence))


def skip(check: str, reason: str, fix: tuple[str, ...] = ()) -> Finding:
    """Does not apply here, or could not be looked at; never a pass. `fix` is how to allow the look."""
    return Finding(check, Status.SKIP, reason, fix=fix)


def warn(
    check: str,
    cause: str | None,
    summary: str,
    evidence: Iterable[str] = (),
    fix: tuple[str, ...] | None = None,
    reference: str | None = None,
) -> Finding:
    """Works, with a limit the user will meet."""
    return problem(check, Status.WARN, cause, summary, evidence, fix, reference)


def fail(
    check: str,
    cause: str | None,
    summary: str,
    evidence: Iterable[str] = (),
    fix: tuple[str, ...] | None = None,
    reference: str | None = None,
) -> Finding:
    """Does not work. `cause` is None only where what was seen does not tell it."""
    return problem(check, Status.FAIL, cause, summary, evidence, fix, reference)


def problem(
    check: str,
    status: Status,
    cause: str | None,
    summary: str,
    evidence: Iterable[str] = (),
    fix: tuple[str, ...] | None = None,
    reference: str | None = None,
) -> Finding:
    """A warning or a failure. What is not given, fix and reference, comes from the cause's row."""
    row = catalogued(cause) if cause is not None else None
    steps = fix if fix is not None else row.fix if row is not None else ()
    source = reference if reference is not None else row.reference if row is not None else None
    seen = tuple(line for line in evidence if line)
    return Finding(check, status, summary, cause, seen, steps, source)
