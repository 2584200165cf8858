"""Split the arguments, run both halves, print one closing line over both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from launcher.errors import LauncherError
from tests.runner.engine import running_engine
from tests.runner.images import build_images
from tests.runner.inside import run_inside
from tests.runner.packages import install_missing_programs
from tests.runner.summary import Summary, closing_line, read_summary

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "tests/torch"
WITHOUT_ENGINE = ("tests/unit",)
NO_TESTS_COLLECTED = 5  # https://docs.pytest.org/en/stable/reference/exit-codes.html


@dataclass(frozen=True, slots=True)
class Arguments:
    """Paths for each half (None: that half does not run), what both get, and whether a missing part is a failure."""

    host: tuple[str, ...] | None
    inside: tuple[str, ...] | None
    common: tuple[str, ...]
    strict: bool

    @property
    def engine(self) -> bool:
        """True when some test may need an engine."""
        return self.inside is not None or not self.host or not all(p.startswith(WITHOUT_ENGINE) for p in self.host)


def split(argv: Sequence[str], root: Path = ROOT) -> Arguments:
    """A path goes to the half it belongs to, everything else to both."""
    paths = [a for a in argv if not a.startswith("-") and (root / a.split("::")[0]).exists()]
    common = tuple(a for a in argv if a not in paths and a != "--strict")
    strict = "--strict" in argv or os.environ.get("CI", "").lower() in ("1", "true")
    inside = tuple(path for path in paths if path.startswith(INSIDE))
    host = tuple(path for path in paths if not path.startswith(INSIDE))
    if not paths:
        return Arguments((), (INSIDE,), common, strict)
    return Arguments(host or None, inside or None, common, strict)


def main(argv: Sequence[str]) -> int:
    """Exit code 0 when every half passed; 3 when the machine could not be made ready."""
    signal.signal(signal.SIGTERM, _interrupt)
    os.chdir(ROOT)
    os.environ.pop("PYTHONPATH", None)
    arguments = split(argv)
    if arguments.strict:
        os.environ["GPU_LAUNCHER_TESTS_STRICT"] = "1"
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="gpu-launcher-tests-") as results:
            code, summaries = _run(arguments, Path(results))
    except LauncherError as error:
        print(f"test: {error.cause}\n  next: {error.next_step}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    print(closing_line(summaries, time.monotonic() - started), flush=True)
    return code


def _run(arguments: Arguments, results: Path) -> tuple[int, list[Summary]]:
    codes, summaries = [], []
    install_missing_programs()
    with running_engine(wanted=arguments.engine, strict=arguments.strict) as engine:
        images = build_images() if engine else None
        if arguments.host is not None:
            codes.append(_run_on_host((*arguments.common, *(arguments.host or ("tests",))), results / "host.xml"))
            summaries.append(read_summary("on the host", results / "host.xml"))
        if arguments.inside is not None and images is not None:
            codes.append(run_inside(images.jupyter, (*arguments.common, *arguments.inside), ROOT, results))
            summaries.append(read_summary("in the image", results / "inside.xml"))
        elif arguments.inside is not None:
            print(f"{INSIDE} was not run: there is no engine")
    for summary in summaries:
        print(summary.line())
    failures = [code for code in codes if code not in (0, NO_TESTS_COLLECTED)]
    if not failures and NO_TESTS_COLLECTED in codes and sum(s.tests for s in summaries) == 0:
        failures = [NO_TESTS_COLLECTED]
    return (failures[0] if failures else 0), summaries


def _run_on_host(arguments: Sequence[str], result: Path) -> int:
    print("== tests on the host ==", flush=True)
    command = (sys.executable, "-m", "pytest", f"--ignore={INSIDE}", f"--junitxml={result}", *arguments)
    return subprocess.run(command, cwd=ROOT).returncode


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
