"""Breaks envcheck's judgement in many small ways, one at a time, and counts what the tests notice.

    nice -n 15 python -m tests.mutation.run [MODULE...]      (default: every module of envcheck/checks, and judge.py)

A script of our own: the tables of rules kill nine of ten mutants within milliseconds in a fork, where the tools at hand
start pytest anew for each (cosmic-ray) or change every word of every message (mutmut). One core, about ten minutes.
Exit code 1 below 90 %.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from envcheck.causes import causes
from tests.mutation.mutants import Mutant, mutants
from tests.unit.envcheck.faults import KERNEL, Fault
from tests.unit.envcheck.faults_above import FAULTS_ABOVE
from tests.unit.envcheck.faults_device import DEVICE
from tests.unit.envcheck.healthy_machines import CONTAINERS, HOSTS, WHEELS
from tests.unit.envcheck.rules import container, cuda, driver, health, libraries, links, torch
from tests.unit.envcheck.rules.cases import Rule

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests/unit/envcheck"
RULES: list[Rule] = [
    rule for table in (container, cuda, driver, health, libraries, links, torch) for rule in table.RULES
]
FAULTS: list[Fault] = [*KERNEL.values(), *DEVICE.values(), *FAULTS_ABOVE.values()]
HEALTHY = [*HOSTS.values(), *WHEELS.values(), *CONTAINERS.values()]
# What judges facts that are written down; the tests of probes, drivers and programs are slower and see no more. Those
# that notice most in the least time come first; the rules have run already.
FILES = (
    "test_consequences.py",
    "test_report.py",
    "test_first_line.py",
    "test_finding_texts.py",
    "test_cuda_rules.py",
    "test_verdict.py",
    "test_floor.py",
    "test_shadowing.py",
    "test_architectures.py",
    "test_healthy_machines.py",
    "test_recordings.py",
    "test_documentation.py",
    "test_catalogue.py",
    "test_rules.py",
)
ENOUGH = 0.9
SECONDS = 60


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed source for one module and leaves the others alone."""

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Only for the changed module; a package stays one."""
        if name != self._name:
            return None
        file = path_of(name)
        places = [str(file.parent)] if file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(name, file, loader=self, submodule_search_locations=places)

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source."""
        exec(compile(self._source, str(path_of(self._name)), "exec"), module.__dict__)  # noqa: S102


def path_of(module: str) -> Path:
    """The file of a module of this checkout."""
    base = ROOT / module.replace(".", "/")
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def default_modules() -> list[str]:
    """Every module that judges facts."""
    files = sorted((ROOT / "envcheck/checks").glob("*.py"))
    names = [f"envcheck.checks.{file.stem}" for file in files if file.stem != "__init__"]
    return ["envcheck.checks", *names, "envcheck.judge"]


def killed(module: str, mutant: Mutant) -> bool:
    """Whether the tests notice the mutant, in a fork of this process."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)  # a mutant that loops for ever is noticed too
        noticed = True
        with contextlib.suppress(BaseException):
            silence()
            sys.meta_path.insert(0, Mutated(module, mutant.source))
            noticed = not (rules_hold() and machines_hold() and pytest_passes())
        os._exit(noticed)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def silence() -> None:
    """No output from the child."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def rules_hold() -> bool:
    """The tables of rules, without pytest."""
    checks = importlib.import_module("envcheck.checks").BY_ID
    for _, check, facts, status, cause in RULES:
        finding = checks[check].judge(facts)
        if (finding.check, finding.status.value, finding.cause) != (check, status, cause):
            return False
        if cause is not None and not (finding.fix and finding.evidence and finding.reference):
            return False
    return True


def machines_hold() -> bool:
    """The healthy machines and those with a real fault, without pytest."""
    judging = importlib.import_module("envcheck.judge")
    for facts, cause, fix in FAULTS:
        first = judging.judge(facts).findings[0]
        if first.cause != cause or not first.fix[0].startswith(fix):
            return False
    return all(judging.judge(facts).verdict == "ok" for facts in HEALTHY)


def pytest_passes() -> bool:
    """The rest, for what the tables did not notice."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--assert=plain"]
    return pytest.main([*options, *(str(TESTS / name) for name in FILES)]) == 0


def main(modules: list[str]) -> int:
    """Print every survivor and the score."""
    for name in [name for name in sys.modules if name.startswith(("envcheck.checks", "envcheck.judge"))]:
        del sys.modules[name]
    os.chdir(ROOT)
    known = frozenset(causes())
    total, survivors, started = 0, 0, time.monotonic()
    for module in modules or default_modules():
        found = list(mutants(path_of(module).read_text(encoding="utf-8"), known))
        left = [mutant for mutant in found if not killed(module, mutant)]
        total, survivors = total + len(found), survivors + len(left)
        print(f"{module}: {len(found) - len(left)} of {len(found)}", flush=True)
        for mutant in left:
            print(f"    line {mutant.line}: {mutant.change}", flush=True)
    score = 1 - survivors / max(total, 1)
    seconds = time.monotonic() - started
    print(f"{total - survivors} of {total} mutants killed: {score:.1%} in {seconds:.0f} s")
    return 0 if score >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
