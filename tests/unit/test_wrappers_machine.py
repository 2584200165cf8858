"""bin/launcher on machines that lack something: each simulated by a PATH of scripts."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from tests.unit.clones import PATH, Run, clone, run_clone, wheel  # noqa: F401


def fake_program(directory: Path, name: str, script: str) -> None:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def tools(directory: Path, *names: str) -> str:
    """A PATH with nothing but coreutils' and the shell's programs."""
    directory.mkdir(exist_ok=True)
    ordinary = ("sh", "cat", "cut", "id", "readlink", "cksum", "getent", "mkdir", "rm", "date", "cp", "grep", "tail")
    for name in (*ordinary, *names):
        (directory / name).symlink_to(shutil.which(name, path=PATH) or f"/usr/bin/{name}")
    return str(directory)


def test_without_python(run_clone: Run, tmp_path: Path) -> None:
    done = run_clone(PATH=tools(tmp_path / "tools"))
    assert done.returncode == 3
    assert done.stderr == "launcher: Python 3 was not found on PATH\n  next: Install Python 3.10 or newer\n"


def test_python_that_is_too_old_is_named(run_clone: Run, tmp_path: Path) -> None:
    """The old Python is simulated by a script."""
    fake_program(tmp_path / "old", "python3", "echo 3.9 /usr/bin/python3.9")
    done = run_clone(PATH=f"{tmp_path / 'old'}:{tools(tmp_path / 'tools')}")
    assert done.returncode == 3
    assert "Python 3.9 is too old" in done.stderr and len(done.stderr.splitlines()) == 2


# Only asked whether ensurepip is there, which it is not until apt-get has "installed" it.
WITHOUT_ENSUREPIP = """case "$*" in
*ensurepip*) [ -e {flag} ] ;;
*version_info*) echo "3.11 $0" ;;
*) exec {python} "$@" ;;
esac"""


@pytest.fixture
def debian_without_venv(tmp_path: Path) -> str:
    """A PATH like that of Debian without python3-venv: Python and apt-get are simulated by scripts."""
    flag = tmp_path / "installed"
    directory = tmp_path / "fake"
    python = shutil.which("python3", path=PATH) or sys.executable
    fake_program(directory, "python3", WITHOUT_ENSUREPIP.format(flag=flag, python=python))
    install = f'case "$*" in *python3-venv*) : > {flag} ;; esac'
    fake_program(directory, "apt-get", f'echo "apt-get $*" >> {directory}/log; {install}')
    return f"{directory}:{tools(tmp_path / 'tools')}"


def test_missing_venv_module_is_one_cause_and_one_next_step(run_clone: Run, debian_without_venv: str) -> None:
    done = run_clone("up", PATH=debian_without_venv)
    assert done.returncode == 3
    cause, following = done.stderr.splitlines()
    assert "cannot make virtual environments" in cause and "apt-get install python3-venv" in following


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, as apt-get does")
def test_root_with_yes_installs_the_venv_module(run_clone: Run, debian_without_venv: str, clone: Path) -> None:
    done = run_clone("version", "--yes", PATH=debian_without_venv)
    log = (Path(debian_without_venv.split(":")[0]) / "log").read_text()
    assert log == "apt-get update -q\napt-get install -y -q --no-install-recommends python3-venv\n"
    assert (clone / ".venv/bin/python").exists()
    assert done.stdout == "packages 1\n"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, as apt-get does")
def test_a_yes_after_the_separator_is_no_consent(run_clone: Run, debian_without_venv: str) -> None:
    done = run_clone("exec", "name", "--", "--yes", PATH=debian_without_venv)
    assert done.returncode == 3
    assert not (Path(debian_without_venv.split(":")[0]) / "log").exists()
