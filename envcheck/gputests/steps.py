"""Groups of programs, one after the other, and what they showed so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envcheck.finding import Finding
from envcheck.gputests.progress import Progress
from envcheck.gputests.runner import Outcome, Program, run_programs


@dataclass(slots=True)
class Steps:
    """Every finding, and by program what its stages reported. `unreported` stages are no evidence of anything."""

    environ: Mapping[str, str]
    progress: Progress
    findings: list[Finding] = field(default_factory=list)
    figures: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    unreported: list[str] = field(default_factory=list)

    def run(self, text: str | None, *programs: Program) -> list[Outcome]:
        """Run a group side by side. `text` says what it does; None says nothing."""
        if text is not None:
            self.progress.step(text)
        outcomes = run_programs(programs, self.environ, self.progress.stage)
        for program, outcome in zip(programs, outcomes, strict=True):
            self.figures[program.name] = outcome.stages
            missing = [stage for stage in program.stages if stage not in outcome.stages]
            self.unreported += [f"{program.name}: {stage}" for stage in missing]
        return outcomes
