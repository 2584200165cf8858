"""`envcheck`: arguments in, one verdict out, the documented exit code."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
from pathlib import Path

from envcheck import SCHEMA_VERSION, __version__
from envcheck.checks import BY_ID, CHECKS, TOPICS
from envcheck.codec import DecodeError, decode, encode
from envcheck.collect import collect, system_root
from envcheck.exits import COULD_NOT_CHECK, OK, USAGE, exit_code
from envcheck.facts import Facts
from envcheck.judge import Report, examine, judge
from envcheck.report import render_json, render_text

EPILOG = """commands:
  envcheck list [CHECK]            every check, or what one of them checks and why
  envcheck explain [FILE|-]        name the causes that a log or an error text shows, and their fix
  envcheck record                  write what was seen as JSON, without names, ids and home paths
  envcheck gpu [--quick|--full]    run work on every GPU and compare the numbers (envcheck gpu --help)

exit codes: 0 ok, warnings, or no GPU; 1 a failure (with --strict also a warning);
            2 wrong usage; 3 could not check (with --require-gpu also no GPU)"""


def main(argv: list[str] | None = None) -> int:
    """Run `argv` (default: this process's arguments, without the program's name); returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    commands = {"list": _list, "record": _record, "gpu": _gpu, "explain": _explain}
    try:
        if argv and argv[0] in commands:
            return commands[argv[0]](argv[1:])
        return _check(argv)
    except BrokenPipeError:
        # The reader has gone (`envcheck | head`); keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return 130


def _check(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    only, skipped = tuple(options.only), tuple(options.skip)
    if options.facts is None:
        report = examine(system_root(), only=only, skip=skipped)
    else:
        facts = _load(Path(options.facts))
        if facts is None:
            return COULD_NOT_CHECK
        report = judge(facts, only=only, skip=skipped)
    _print(report, as_json=options.json, plain=options.plain)
    return exit_code(report, strict=options.strict, require_gpu=options.require_gpu)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="envcheck",
        description="Says what is wrong with this GPU environment for PyTorch, why, and the command that fixes it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    topics = ", ".join(TOPICS)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--only", action="append", default=[], metavar="TOPIC", choices=TOPICS, help=topics)
    parser.add_argument("--skip", action="append", default=[], metavar="TOPIC", choices=TOPICS, help="leave it out")
    parser.add_argument("--strict", action="store_true", help="exit 1 for a warning")
    parser.add_argument("--require-gpu", action="store_true", help="exit 3 where there is no GPU")
    parser.add_argument("--facts", metavar="FILE", help="judge what `envcheck record` wrote instead of this machine")
    parser.add_argument("--plain", action="store_true", help="no colour")
    parser.add_argument("--version", action="version", version=f"envcheck {__version__}")
    return parser


def _print(report: Report, *, as_json: bool, plain: bool) -> None:
    # https://no-color.org: any non-empty value
    colour = sys.stdout.isatty() and not plain and not os.environ.get("NO_COLOR")
    print(render_json(report) if as_json else render_text(report, colour=colour), flush=True)


def _load(path: Path) -> Facts | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or not isinstance(document.get("facts"), dict):
            raise DecodeError("it holds no object `facts`")
        return decode(Facts, document["facts"])
    except (OSError, ValueError) as error:
        print(f"envcheck: cannot read {path}: {error}", file=sys.stderr)
        print("  next: write a recording with: envcheck record > FILE", file=sys.stderr)
        return None


def _list(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="envcheck list", description="Lists the checks, or documents one.")
    parser.add_argument("check", nargs="?", metavar="CHECK")
    wanted = parser.parse_args(argv).check
    if wanted is None:
        for check in CHECKS:
            first = (inspect.getdoc(check.judge) or "").splitlines()[0].removeprefix("What it checks: ")
            print(f"{check.id:<24}{check.topic:<11}{first}")
        return OK
    if wanted not in BY_ID:
        print(f"envcheck: there is no check {wanted!r}", file=sys.stderr)
        print("  next: envcheck list", file=sys.stderr)
        return USAGE
    print(f"{wanted} (topic {BY_ID[wanted].topic})\n\n{inspect.getdoc(BY_ID[wanted].judge)}")
    return OK


def _record(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="envcheck record", description="Writes what was seen, redacted, as JSON.")
    parser.parse_args(argv)
    from envcheck.redact import redact

    try:
        home = Path.home()
    except RuntimeError:  # a uid without a passwd entry and without HOME
        home = Path("/")
    facts = redact(collect(system_root()), home)
    print(json.dumps({"schema_version": SCHEMA_VERSION, "envcheck": __version__, "facts": encode(facts)}, indent=2))
    return OK


def _gpu(argv: list[str]) -> int:
    from envcheck.gputests.command import main as gpu_main

    return gpu_main(argv)


def _explain(argv: list[str]) -> int:
    from envcheck.explain.command import main as explain_main

    return explain_main(argv)
