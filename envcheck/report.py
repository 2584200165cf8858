"""The text form: the verdict and the fix first, one line a topic, details only for problems."""

from __future__ import annotations

import json
from dataclasses import replace

from envcheck.causes import cause
from envcheck.checks import BY_ID, TOPICS
from envcheck.finding import Finding, Status
from envcheck.judge import ORDER, Report

COLOURS = {Status.OK: "32", Status.WARN: "33", Status.FAIL: "31;1", Status.CRASH: "35", Status.SKIP: "2"}
PROBLEMS = (Status.FAIL, Status.WARN, Status.CRASH)
# What works only in part is told also where all is well.
LIMITS = "with limits"
NUMBERED = ("CUDA error ", "NVML error ")
SEEN_OF_CONSEQUENCE = 2
# Where none of a topic's checks is told by name, so many stand for all.
MOST_TOLD = 2
MARK_WIDTH = 6
TOPIC_WIDTH = 10


def render_json(report: Report) -> str:
    """One JSON object."""
    return json.dumps(report.to_json(), indent=2)


def render_text(report: Report, *, colour: bool) -> str:
    """The whole text, without a trailing newline."""
    report = replace(report, findings=tuple(map(_printable, report.findings)), reason=_on_one_line(report.reason))
    lines = [*_headline(report, colour), ""]
    for topic in TOPICS:
        found = [finding for finding in report.findings if BY_ID[finding.check].topic == topic]
        if found:
            lines.append(_topic_line(topic, found, colour))
    for finding in report.findings:
        if finding.status in PROBLEMS:
            lines += ["", *_details(finding, report, colour)]
        elif finding.status is Status.SKIP and finding.fix:
            lines += ["", f"{_paint('not looked at:', Status.SKIP, colour)} {finding.check}: {finding.summary}"]
            lines += _block("fix", finding.fix)
    return "\n".join(lines)


def _printable(finding: Finding) -> Finding:
    """Words of other programs and of recordings must neither break the lines nor steer the terminal."""
    evidence, fix = map(_on_one_line, finding.evidence), map(_on_one_line, finding.fix)
    return replace(finding, summary=_on_one_line(finding.summary), evidence=tuple(evidence), fix=tuple(fix))


def _on_one_line(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() or ord(c) > 0x9F else " " for c in text)


def _headline(report: Report, colour: bool) -> list[str]:
    if report.verdict == "no-gpu":
        return [f"envcheck: {_paint('NO GPU', Status.WARN, colour)}: {report.reason}. PyTorch runs on the CPU here."]
    if report.verdict == "ok":
        return [f"envcheck: {_paint('OK', Status.OK, colour)}: every check that applies here passed"]
    if report.verdict == "unknown":
        why = next((item for item in report.findings if item.status is Status.CRASH or item.check == "cuda-init"), None)
        reason = f": {why.summary}" if why is not None else ""
        text = f"not enough could be checked for a verdict{reason}"
        return [f"envcheck: {_paint('UNKNOWN', Status.CRASH, colour)}: {text}"]
    status = Status.FAIL if report.verdict == "fail" else Status.WARN
    first = report.findings[0]
    # What a bare number means is told by its cause; a warning's cause may speak of more than this.
    numbered = report.verdict == "fail" and first.summary.startswith(NUMBERED)
    what = cause(report.root_cause).what if report.root_cause and numbered else first.summary
    name = f" [{report.root_cause}]" if report.root_cause else ""
    lines = [f"envcheck: {_paint(status.value.upper(), status, colour)}: {what}{name}"]
    return [*lines, f"     fix: {first.fix[0]}"] if first.fix else lines


def _topic_line(topic: str, found: list[Finding], colour: bool) -> str:
    worst = min((finding.status for finding in found), key=ORDER.__getitem__)
    in_order = sorted(found, key=lambda finding: list(BY_ID).index(finding.check))
    reached = [finding for finding in in_order if finding.status is worst]
    if worst is Status.OK:
        important = [finding for finding in reached if BY_ID[finding.check].told or LIMITS in finding.summary]
        reached = important or reached[:MOST_TOLD]
    # Why a check does not apply is told once; a problem's details follow below.
    told = reached[:1] if worst is Status.SKIP else reached
    return f"  {_mark(worst, colour)} {topic:<{TOPIC_WIDTH}} {'; '.join(finding.summary for finding in told)}"


def _mark(status: Status, colour: bool) -> str:
    word = status.value.upper() if status in PROBLEMS else "-" if status is Status.SKIP else status.value
    return _paint(f"{word:<{MARK_WIDTH}}", status, colour)


def _details(finding: Finding, report: Report, colour: bool) -> list[str]:
    name = f" [{finding.cause}]" if finding.cause else ""
    lines = [f"{_paint(finding.status.value.upper(), finding.status, colour)} {finding.check}{name}: {finding.summary}"]
    if finding.check in report.consequences:
        # Told in short: it is the first fault that the user has to read about.
        explained = report.root_cause or report.findings[0].check
        after = f"  fix   likely caused by {explained}: fix that first, then run envcheck again"
        return [*lines, *_block("seen", finding.evidence[:SEEN_OF_CONSEQUENCE]), after]
    if finding.cause is not None:
        lines.append(f"  why   {cause(finding.cause).why}")
    lines += _block("seen", finding.evidence)
    lines += _block("fix", finding.fix)
    return [*lines, f"  docs  {finding.reference}"] if finding.reference else lines


def _block(label: str, items: tuple[str, ...]) -> list[str]:
    return [f"  {label if index == 0 else '':<5} {item}" for index, item in enumerate(items)]


def _paint(text: str, status: Status, colour: bool) -> str:
    return f"\x1b[{COLOURS[status]}m{text}\x1b[0m" if colour else text
