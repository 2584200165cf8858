"""`envcheck`: arguments in, one verdict out, the documented exit code."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
from pathlib import Path

from envcheck import SCHEMA_VERSION, __version__
from envcheck.checks import BY_ID, CHECKS, TOPICS
from envcheck.codec import encode
from envcheck.collect import collect, system_root
from envcheck.exits import COULD_NOT_CHECK, OK, exit_code
from envcheck.judge import Report, examine, judge
from envcheck.recording import RecordingError, load_recording
from envcheck.report import render_json, render_text
from envcheck.usage import Parser, closest, refuse, wrong_setting

DEBUG = "ENVCHECK_DEBUG"
EPILOG = """commands:
  envcheck list [CHECK]            every check, or what one of them checks and why
  envcheck explain [FILE|-]        name the causes that a log or an error text shows, and their fix
  envcheck record                  write what was seen as JSON, without names, ids and home paths
  envcheck gpu [--quick|--full]    run work on every GPU and compare the numbers (envcheck gpu --help)

exit codes: 0 ok, warnings, or no GPU; 1 a failure (with --strict also a warning);
            2 wrong usage; 3 could not check (with --require-gpu also no GPU)"""


def main(argv: list[str] | None = None) -> int:
    """Run `argv` (default: this process's arguments, without the program's name); returns the exit code."""
    _prepare_streams()
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone (`envcheck | head`).
        _leave_standard_output()
        return OK
    except OSError as error:
        if error.filename is not None:
            return _own_fault(error)
        _leave_standard_output()
        refuse(f"cannot write the result: {error.strerror or error}", "make room, or write to another place")
        return COULD_NOT_CHECK
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _own_fault(error)


def _own_fault(error: Exception) -> int:
    if os.environ.get(DEBUG):
        raise error
    following = f"{DEBUG}=1 envcheck ... shows where; please report it"
    refuse(f"a fault of envcheck itself: {type(error).__name__}: {error}", following)
    return COULD_NOT_CHECK


def _prepare_streams() -> None:
    """A closed stream is as good as /dev/null; what the locale cannot write is written escaped."""
    # Left open until the process ends, as the streams themselves are.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _leave_standard_output() -> None:
    """Keep the interpreter from complaining at its end about what could not be written."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: list[str]) -> int:
    command = argv[0] if argv else ""
    wrong = wrong_setting(os.environ, torch=_needs_torch(argv)) if command not in ("list", "explain") else None
    if wrong is not None:
        return refuse(*wrong)
    return COMMANDS[command](argv[1:]) if command in COMMANDS else _check(argv)


def _needs_torch(argv: list[str]) -> bool:
    return not {"--kernel-only", "--facts", "--help", "-h", "--version"} & set(argv)


def _check(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    only, skipped = tuple(options.only), tuple(options.skip)
    if options.facts is None:
        report = examine(system_root(), only=only, skip=skipped)
    else:
        try:
            report = judge(load_recording(options.facts), only=only, skip=skipped)
        except RecordingError as error:
            refuse(f"cannot read {options.facts}: {error}", "write a recording with: envcheck record > FILE")
            return COULD_NOT_CHECK
    _print(report, as_json=options.json, plain=options.plain)
    return exit_code(report, strict=options.strict, require_gpu=options.require_gpu)


def _parser() -> Parser:
    parser = Parser(
        prog="envcheck",
        description="Says what is wrong with this GPU environment for PyTorch, why, and the command that fixes it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.words = tuple(COMMANDS)
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


def _list(argv: list[str]) -> int:
    import inspect

    parser = Parser(prog="envcheck list", description="Lists the checks, or documents one.")
    parser.add_argument("check", nargs="?", metavar="CHECK")
    wanted = parser.parse_args(argv).check
    if wanted is None:
        for check in CHECKS:
            first = (inspect.getdoc(check.judge) or "").splitlines()[0].removeprefix("What it checks: ")
            print(f"{check.id:<24}{check.topic:<11}{first}")
        return OK
    if wanted not in BY_ID:
        return refuse(f"there is no check {wanted!r}", closest(wanted, BY_ID) or "envcheck list")
    print(f"{wanted} (topic {BY_ID[wanted].topic})\n\n{inspect.getdoc(BY_ID[wanted].judge)}")
    return OK


def _record(argv: list[str]) -> int:
    parser = Parser(prog="envcheck record", description="Writes what was seen, redacted, as JSON.")
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


COMMANDS = {"list": _list, "record": _record, "gpu": _gpu, "explain": _explain}
