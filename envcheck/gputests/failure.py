"""Why a proof failed, from the number or the text of its error, or from how its process ended. Pure."""

from __future__ import annotations

import re

from envcheck.checks.answer import fail, skip
from envcheck.checks.crashes import crash_lines
from envcheck.compat import cuda_error
from envcheck.explain import explain_text
from envcheck.facts import Crash
from envcheck.finding import Finding
from envcheck.gputests.runner import Outcome

LINES_OF_ERROR = 4
# A proof has no user: what explain takes for a mistake in a program tells nothing here.
USER_CODE = "user-code"
HARDWARE = (
    "envcheck gpu --full   # once more, with nothing else on the GPU",
    "wrong again: the card, its memory or its power supply is faulty; have it replaced",
)


def cause_of(error: str, code: int | None = None) -> str | None:
    """The cause that a CUDA error number or, without a known one, the text tells; else None."""
    known = cuda_error(code).cause if code is not None else None
    return known or next((match.cause for match in explain_text(error) if match.cause != USER_CODE), None)


def failed(check: str, name: str, what: str, stage: str, outcome: Outcome, on_hang: str | None = None) -> Finding:
    """`name` `what`, because the stage raised, crashed or hung; skipped where something before it kept it from running.

    `on_hang` is the cause where it did not end in time.
    """
    values = outcome.stages.get(stage, {})
    if "error" in values:
        return _raised(check, f"{name} {what}", str(values["error"]), values.get("code"), outcome.words)
    crash = outcome.crash(stage)
    if crash is not None:
        return _crashed(check, f"{name} {what}", crash, on_hang)
    if any(item.timed_out for item in outcome.crashes):
        return skip(check, f"{name}: not tried, because what ran before it did not end in time")
    if outcome.crashes or any("error" in values for values in outcome.stages.values()):
        return skip(check, f"{name}: not tried, because of what failed before it")
    return fail(check, None, f"{name} {what}", [f"the program ended without reporting {stage}"])


def not_started(outcome: Outcome) -> str | None:
    """The stage in which a program ended before PyTorch was there; None where it imported."""
    imported = outcome.stages.get("import", {})
    if "version" in imported:
        return None
    return outcome.crashes[0].stage if outcome.crashes and not imported else "import"


def _raised(check: str, summary: str, error: str, code: int | None, words: str) -> Finding:
    evidence = error.splitlines()[:LINES_OF_ERROR]
    if code is None and "cuda" in error.lower() and (number := re.search(r"\bError (\d+): ", error)):
        code = int(number.group(1))
    # NCCL and its watchdog write the reason there, and the exception only says that something failed.
    told = [line for line in words.splitlines() if "NCCL WARN" in line or "Watchdog caught" in line][:LINES_OF_ERROR]
    evidence += told
    if code is not None:
        known = cuda_error(code)
        evidence.append(f"CUDA error {code} ({known.name}){f': {known.text}' if known.text else ''}")
    return fail(check, cause_of(error, code) or cause_of("\n".join(told)), summary, evidence)


def _crashed(check: str, summary: str, crash: Crash, on_hang: str | None) -> Finding:
    cause = on_hang if crash.timed_out else cause_of(crash.stderr)
    lines = crash_lines(crash)
    if crash.signal == "SIGKILL":
        lines.append("something ended it from outside: often the system, for want of memory")
    return fail(check, cause, summary, lines)
