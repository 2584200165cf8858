"""Split the arguments, run both halves, print one closing line over both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from launcher.errors import LauncherError
from tests.end_to_end import private_image
from tests.runner.engine import running_engine
from tests.runner.images import build_images
from tests.runner.packages import install_missing_programs
from tests.runner.summary import Summary, closing_line, read_summary

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "tests/torch"
# Chromium gives its requests up whenever a network interface comes or goes, as one does with every container.
ALONE = "tests/browser"
INSIDE_LOG = "inside.log"
WITHOUT_ENGINE = ("tests/unit",)
# Tests mostly wait for engines, servers and children. Which must stay together, tests/distribution.py says.
IN_PARALLEL = ("-n", "2", "--dist", "loadscope", "--no-loadscope-reorder")
ONE_BY_ONE = ("-n", "--numprocesses", "--pdb", "-s", "--capture=no", "-x", "--exitfirst", "--collect-only", "--co")
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
    with running_engine(wanted=arguments.engine, strict=arguments.strict) as engine, ExitStack() as running:
        images = build_images() if engine else None
        if images is not None and arguments.host == ():
            private_image.prepare()
        inside = None
        if arguments.inside is not None and images is not None:
            inside = running.enter_context(
                inside_image(images.jupyter, (*arguments.common, *arguments.inside), results)
            )
        if arguments.host is not None:
            for where, given in host_runs(arguments).items():
                report = results / f"{where}.xml"
                codes.append(_run_on_host(where, given, report))
                summaries.append(read_summary(where, report))
        if inside is not None:
            codes.append(show_inside(inside, results))
            summaries.append(read_summary("in the image", results / "inside.xml"))
        elif arguments.inside is not None:
            print(f"{INSIDE} was not run: there is no engine")
    for summary in summaries:
        print(summary.line())
    failures = [code for code in codes if code not in (0, NO_TESTS_COLLECTED)]
    if not failures and NO_TESTS_COLLECTED in codes and sum(s.tests for s in summaries) == 0:
        failures = [NO_TESTS_COLLECTED]
    return (failures[0] if failures else 0), summaries


def host_runs(arguments: Arguments) -> dict[str, tuple[str, ...]]:
    """What pytest gets on the host: a full run goes in parallel, then the browser's tests alone.

    It is one run, one by one, where an argument needs one process.
    """
    if arguments.host or any(a.startswith(ONE_BY_ONE) for a in arguments.common):
        return {"on the host": (*arguments.common, *(arguments.host or ("tests",)))}
    parallel = (*IN_PARALLEL, *arguments.common, f"--ignore={ALONE}", "tests")
    return {"on the host": parallel, "in a browser": (*arguments.common, ALONE)}


@contextmanager
def inside_image(image: str, arguments: Sequence[str], results: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the tests in the image beside those on the host; what they print waits in a file. Ended with the block."""
    command = (sys.executable, "-m", "tests.runner.inside", image, str(results), *arguments)
    with (results / INSIDE_LOG).open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def show_inside(process: subprocess.Popen[bytes], results: Path) -> int:
    """Print what the tests in the image have said and go on saying; returns their exit code."""
    print("\n== tests in the image ==", flush=True)
    with (results / INSIDE_LOG).open("rb") as log:
        while True:
            ended = process.poll() is not None
            sys.stdout.buffer.write(log.read())
            sys.stdout.buffer.flush()
            if ended:
                return process.returncode
            time.sleep(0.2)


def _run_on_host(where: str, arguments: Sequence[str], report: Path) -> int:
    print(f"== tests {where} ==", flush=True)
    command = (sys.executable, "-m", "pytest", f"--ignore={INSIDE}", f"--junitxml={report}", *arguments)
    return subprocess.run(command, cwd=ROOT).returncode


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
