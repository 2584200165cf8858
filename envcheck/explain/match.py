"""One recognised cause: what scripts get, key by key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """A cause and the line that shows it.

    `cause` is an id of causes.toml, `check` the envcheck check that would look at it, None where none does.
    `confidence` is between 0 and 1: how sure it is that this is what has to be repaired; a likely consequence of
    an earlier match has less. `line` counts from 1; `evidence` is that line as it stood, without terminal codes,
    cut where it is long, and with secrets masked.
    """

    cause: str
    check: str | None
    confidence: float
    line: int
    evidence: str
    why: str
    fix: tuple[str, ...]
    reference: str
    caused_by: str | None = None

    def to_json(self) -> dict[str, object]:
        """Exactly the documented keys."""
        return {
            "cause": self.cause,
            "check": self.check,
            "confidence": self.confidence,
            "line": self.line,
            "evidence": self.evidence,
            "why": self.why,
            "fix": list(self.fix),
            "reference": self.reference,
        }
