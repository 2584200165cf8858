"""What envcheck said inside a container: its report, and the first finding of it as a failure."""

from __future__ import annotations

import json
from typing import Any

from launcher.engine import ExecResult
from launcher.errors import NotReadyError

# Its exit code and object are what `train` and `check` go by.
JUDGE = ("envcheck", "--json")


def report_of(result: ExecResult) -> dict[str, Any]:
    """The object that `envcheck --json` printed; empty when it could not say anything."""
    try:
        report = json.loads(result.stdout)
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def failure(result: ExecResult, cause: str, hint: str = "") -> NotReadyError:
    """`cause` with the first finding's summary, its first fix with `hint`, and envcheck's root cause."""
    report = report_of(result)
    first: dict[str, Any] = next(iter(report.get("findings") or ()), {})
    said = next(iter(result.stderr.strip().splitlines()), f"envcheck ended with exit code {result.exit_code}")
    fix = next(iter(first.get("fix") or ()), "See what the container says: launcher exec NAME -- envcheck")
    return NotReadyError(f"{cause}: {first.get('summary') or said}", f"{fix}{hint}", cause_id=report.get("root_cause"))
