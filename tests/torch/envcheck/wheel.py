"""How the tests over the real wheel run envcheck, and the fake libraries they put in its way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]
SOURCES = REPOSITORY / "tests/fakedrivers"
PYTHON = os.environ.get("ENVCHECK_PYTHON") or (sys.executable if find_spec("torch") else None)
needs_torch = pytest.mark.skipif(PYTHON is None, reason="no Python with torch: set ENVCHECK_PYTHON to one")


def compile_library(directory: Path, name: str, source: str | Path) -> Path:
    """Compile C text or a C file into `directory`/`name`; returns the directory."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc: the fake libraries cannot be built")
    directory.mkdir(exist_ok=True)
    file = source if isinstance(source, Path) else directory / f"{name}.c"
    if isinstance(source, str):
        file.write_text(source)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(directory / name), str(file), "-ldl"], check=True)
    return directory


def command(root: Path, *arguments: str, **environ: str) -> tuple[list[str], dict[str, str]]:
    """argv and environment of envcheck; the root is empty, so that the machine's own card plays no part."""
    (root / "dev/shm").mkdir(parents=True, exist_ok=True)
    variables = {"PATH": os.environ["PATH"], "ENVCHECK_PYTHON": str(PYTHON), "ENVCHECK_ROOT": str(root), **environ}
    return [sys.executable, str(REPOSITORY / "envcheck/__main__.py"), "--json", *arguments], variables


def envcheck(root: Path, *arguments: str, cwd: Path = REPOSITORY, **environ: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report."""
    argv, variables = command(root, *arguments, **environ)
    done = subprocess.run(argv, env=variables, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def by_check(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The findings by their check's id."""
    return {finding["check"]: finding for finding in report["findings"]}
