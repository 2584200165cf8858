"""`envcheck explain`: any text in, the causes it shows out."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from envcheck.collect import system_root
from envcheck.exits import COULD_NOT_CHECK, OK
from envcheck.explain import Match, explain_stream
from envcheck.explain.render import render_json, render_text
from envcheck.finding import Finding, Status
from envcheck.fixes import adapt
from envcheck.probes.environment import probe_distribution

NOT_RECOGNISED = 1
STANDARD_INPUT = "-"
DESCRIPTION = """Names the causes that a log, a traceback or a program's output shows, the root cause first, with the
line that shows it, why, and the command that fixes it. Reads only the text. The form of the log does not
matter: time stamps, prefixes of containers and ranks, colours, progress bars and wrapped lines are looked through."""
EPILOG = """A fault of the program itself (a device-side assert, a wrong shape or index) is named user-code: the
environment is not to blame.

exit codes: 0 a cause was recognised; 1 none; 2 wrong usage; 3 the text could not be read"""


def main(argv: list[str]) -> int:
    """Run `envcheck explain`; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        matches, empty = _read(options.file)
    except OSError as error:
        print(f"envcheck: cannot read {options.file}: {error.strerror or error}", file=sys.stderr)
        print("  next: envcheck explain FILE, or: COMMAND 2>&1 | envcheck explain", file=sys.stderr)
        return COULD_NOT_CHECK
    distribution = probe_distribution(system_root())
    adapted = tuple(_adapted(match, distribution) for match in matches)
    # https://no-color.org: any non-empty value
    colour = sys.stdout.isatty() and not options.plain and not os.environ.get("NO_COLOR")
    print(render_json(adapted) if options.json else render_text(adapted, colour=colour, empty=empty), flush=True)
    return OK if adapted else NOT_RECOGNISED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="envcheck explain",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", nargs="?", default=STANDARD_INPUT, metavar="FILE", help="default: standard input (-)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--plain", action="store_true", help="no colour")
    return parser


def _read(name: str) -> tuple[tuple[Match, ...], bool]:
    """The causes, and whether there was no text at all. Raises OSError."""
    if name != STANDARD_INPUT:
        with Path(name).open("rb") as stream:
            return _explain(stream)
    if sys.stdin is None:
        raise OSError("standard input is closed")
    if sys.stdin.isatty():
        print("envcheck: reading standard input; paste the text, then Ctrl-D", file=sys.stderr)
    return _explain(sys.stdin.buffer)


def _explain(stream: BinaryIO) -> tuple[tuple[Match, ...], bool]:
    peek = getattr(stream, "peek", None)
    empty = peek is not None and not peek(1)
    return explain_stream(stream), empty


def _adapted(match: Match, distribution: str | None) -> Match:
    """The fix steps cut to this machine's distribution, as findings have them."""
    finding = Finding(match.check or "", Status.FAIL, "", fix=match.fix)
    return replace(match, fix=adapt(finding, distribution).fix)
