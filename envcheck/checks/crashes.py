"""Child processes that ended badly, as evidence."""

from __future__ import annotations

from envcheck.facts import Crash, Torch

LINES_OF_ERROR = 4


def crash_in(torch: Torch, *stages: str) -> Crash | None:
    """The crash that ended one of these stages."""
    return next((crash for crash in torch.crashes if crash.stage in stages), None)


def crash_lines(crash: Crash) -> list[str]:
    """Which stage, how, and the last words on standard error."""
    how = "did not end in time" if crash.timed_out else f"ended with {crash.signal or f'exit code {crash.returncode}'}"
    return [f"stage {crash.stage} {how}", *crash.stderr.splitlines()[-LINES_OF_ERROR:]]
