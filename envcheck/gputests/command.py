"""`envcheck gpu`: first the environment, then real work on every GPU."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from typing import Any

from envcheck import SCHEMA_VERSION
from envcheck.exits import COULD_NOT_CHECK, FAILED, OK
from envcheck.finding import Finding, Status
from envcheck.gputests.levels import FULL, KERNEL_ONLY, QUICK, STANDARD
from envcheck.gputests.progress import Progress
from envcheck.gputests.proofs import documentation
from envcheck.gputests.prove import Proven, prove
from envcheck.judge import ORDER
from envcheck.usage import Parser

EPILOG = """proofs, and the lowest level that runs each:
{proofs}

Without an option the level is standard. Every proof runs in a child process with a time limit: one that hangs, aborts
or fails hides no other. What does not apply here is skipped, with the reason.

exit codes: 0 every proof that applies passed, also with a warning; 1 one failed; 2 wrong usage; 3 no GPU is visible;
            130 interrupted, after every child has been ended"""
TITLES = {
    "ok": "OK: every GPU computes",
    "warn": "OK, WITH LIMITS: every GPU computes",
    "no-gpu": "NO GPU",
    "fail": "FAIL",
}


def main(argv: list[str]) -> int:
    """0: work ran on every GPU and the numbers are right. 1: it did not. 3: no GPU is visible."""
    options = _parser().parse_args(argv)
    started = time.monotonic()
    progress = Progress(sys.stderr)
    try:
        proven = prove(os.environ, options.level, progress)
    finally:
        progress.close()
    if options.json:
        print(json.dumps(to_json(proven, options.level), indent=2))
    else:
        print("\n".join(to_text(proven, time.monotonic() - started)))
    return {"ok": OK, "warn": OK, "no-gpu": COULD_NOT_CHECK}.get(proven.verdict, FAILED)


def _parser() -> Parser:
    parser = Parser(
        prog="envcheck gpu",
        description="Runs work on every visible GPU and compares the numbers.",
        epilog=EPILOG.format(proofs=documentation()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    levels = parser.add_mutually_exclusive_group()
    for level, text in (
        (KERNEL_ONLY, "one kernel a GPU through the driver, without PyTorch (about a second)"),
        (QUICK, "the proofs marked quick (under 20 s)"),
        (FULL, "every proof with larger sizes, and each GPU under full load for 8 s"),
    ):
        levels.add_argument(f"--{level}", dest="level", action="store_const", const=level, help=text)
    parser.set_defaults(level=STANDARD)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser


def to_json(proven: Proven, level: str) -> dict[str, object]:
    """One object; keys are added, never renamed. `figures` is what every program measured, by program and stage."""
    ordered = _ordered(proven)
    root = next((finding for finding in ordered if finding.status is Status.FAIL), None)
    report: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "verdict": proven.verdict,
        "root_cause": root.cause if root else None,
        "gpus": [{"index": gpu.index, "uuid": gpu.uuid, "name": gpu.name} for gpu in proven.gpus],
        "findings": [finding.to_json() for finding in ordered],
    }
    return report if level == KERNEL_ONLY else {**report, "level": level, "figures": _finite(proven.figures)}


def to_text(proven: Proven, seconds: float) -> list[str]:
    """The verdict with what is wrong and the first step, then one line a proof and GPU; details only for problems."""
    lines = [*_headline(proven, seconds)]
    for finding in _ordered(proven):
        name = f" [{finding.cause}]" if finding.cause else ""
        lines.append(f"  {finding.status.value:<5} {finding.check}{name}: {finding.summary}")
        if finding.status in (Status.FAIL, Status.WARN):
            lines += [f"        seen  {line}" for line in finding.evidence]
            lines += [f"        fix   {line}" for line in finding.fix]
    return lines


def _headline(proven: Proven, seconds: float) -> list[str]:
    first = next(iter(_ordered(proven)), None)
    told = ""
    if first is not None and proven.verdict != "ok":
        told = f": {first.summary}" + (f" [{first.cause}]" if first.cause else "")
    line = f"envcheck gpu: {TITLES[proven.verdict]}{told} ({seconds:.1f} s)"
    return [line, f"     fix: {first.fix[0]}"] if first is not None and told and first.fix else [line]


def _ordered(proven: Proven) -> list[Finding]:
    return sorted(proven.findings, key=lambda finding: ORDER[finding.status])


def _finite(value: Any) -> Any:  # noqa: ANN401  (JSON values)
    """The same value with null for what is no number: NaN and infinity are not JSON."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
