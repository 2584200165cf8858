"""One judgement: which check, how it ended, which cause, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """SKIP: does not apply here or could not be looked at, with the reason. CRASH: the check itself broke."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Finding:
    """`cause` is an id of causes.toml, None where nothing is wrong; `fix` one command or sentence a step."""

    check: str
    status: Status
    summary: str
    cause: str | None = None
    evidence: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    reference: str | None = None

    def to_json(self) -> dict[str, object]:
        """Exactly the keys that scripts depend on."""
        return {
            "check": self.check,
            "status": self.status.value,
            "cause": self.cause,
            "summary": self.summary,
            "evidence": list(self.evidence),
            "fix": list(self.fix),
            "reference": self.reference,
        }
