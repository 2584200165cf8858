"""bin/launcher run for real, from clones of this checkout."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.unit.clones import PATH, ROOT, Run, clone, finished, lock, made, make_wheel, run_clone, wheel  # noqa: F401
from tests.waiting import DEADLINE_SECONDS, wait_until


def test_first_run_says_what_it_does_and_the_second_is_silent(run_clone: Run, clone: Path) -> None:
    first = run_clone("echo", stdin="typed")
    assert (first.returncode, first.stdout) == (0, "[] typed launcher\n"), "standard input is kept while pip runs"
    assert ".venv" in first.stderr and "made it in" in first.stderr
    second = run_clone("version")
    assert (second.returncode, second.stdout, second.stderr) == (0, "packages 1\n", "")
    assert not list(clone.glob(".venv.log"))


def test_arguments_standard_input_and_exit_code_pass_through(run_clone: Run, made: Path) -> None:
    done = run_clone("echo", "a b", "", "*", "--", "-x", stdin="typed")
    assert done.stdout == "['a b', '', '*', '--', '-x'] typed launcher\n"
    assert run_clone("fail", "42").returncode == 42


def test_through_symbolic_links_and_by_relative_name(run_clone: Run, made: Path, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(made / "bin/launcher")
    (tmp_path / "two").symlink_to("one")
    assert run_clone("version", program=tmp_path / "two").stdout == "packages 1\n"
    named = subprocess.run(["sh", "launcher", "version"], cwd=made / "bin", env={"PATH": PATH}, capture_output=True)
    assert named.stdout == b"packages 1\n"


def test_the_callers_modules_and_python_variables_do_not_leak_in(run_clone: Run, made: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/first.py").write_text("VERSION = 'the wrong one'\n")
    done = run_clone("version", PYTHONPATH=str(tmp_path / "elsewhere"), PYTHONHOME="/nonexistent")
    assert done.stdout == "packages 1\n"


def test_changed_lock_is_installed_and_an_unchanged_one_never(run_clone: Run, made: Path, tmp_path: Path) -> None:
    lock(made, make_wheel(tmp_path, "2"))
    # An older time stamp must not hide the change: archives and rsync set them.
    os.utime(made / "requirements.txt", (0, 0))
    assert run_clone("version").stdout == "packages 2\n"
    (made / "requirements.txt").touch()
    assert run_clone("version").stderr == ""


def test_environment_whose_python_is_gone_is_made_again(run_clone: Run, made: Path) -> None:
    (made / ".venv/bin/python").unlink()
    (made / ".venv/bin/python").symlink_to("/usr/bin/python3.0")
    assert run_clone("version").stdout == "packages 1\n"


def test_two_first_runs_at_once_both_succeed(clone: Path) -> None:
    command, streams = [str(clone / "bin/launcher")], subprocess.PIPE
    runs = [subprocess.Popen(command, env={"PATH": PATH}, stdout=streams, stderr=streams) for _ in range(3)]
    results = [process.communicate(timeout=DEADLINE_SECONDS) for process in runs]
    assert [out for out, _ in results] == [b"packages 1\n"] * 3
    assert sum(b"made it in" in err for _, err in results) == 1, results


def test_the_gpu_rule_can_refuse_before_anything_is_made(run_clone: Run, clone: Path) -> None:
    """The rule itself is simulated: a stand-in that prints its line and refuses."""
    (clone / "launcher/device.py").write_text("def main():\n    print('the rule')\n    raise SystemExit(3)\n")
    refused = run_clone("up", "--mode", "ssh")
    assert (refused.returncode, refused.stdout, refused.stderr) == (3, "the rule\n", "")
    assert not (clone / ".venv").exists()
    assert run_clone("version").returncode == 0


def test_a_rule_that_cannot_decide_yet_leaves_it_to_the_launcher(run_clone: Run, clone: Path) -> None:
    """Simulated: Python 3.10 cannot read launcher.toml before tomli is there."""
    (clone / "launcher/device.py").write_text("def main():\n    raise SystemExit(75)\n")
    assert run_clone("up").returncode == 0
    assert (clone / ".venv").exists()


def test_wrong_hash_is_refused_in_two_lines(run_clone: Run, clone: Path, tmp_path: Path) -> None:
    lock(clone, make_wheel(tmp_path, "1"), sha256="0" * 64)
    done = run_clone("version")
    assert done.returncode == 3 and done.stdout == ""
    cause, following = done.stderr.splitlines()[-2:]
    assert cause.startswith("launcher: the packages of requirements.txt could not be installed")
    assert following.startswith("  next: ")
    assert not (clone / ".venv").exists(), "nothing half-made is left"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupted_install_leaves_nothing_and_the_next_run_succeeds(
    run_clone: Run, clone: Path, sent: signal.Signals, code: int
) -> None:
    process = subprocess.Popen(
        [str(clone / "bin/launcher")], env={"PATH": PATH}, stderr=subprocess.PIPE, start_new_session=True
    )
    wait_until((clone / ".venv/bin/python").exists, "the environment's interpreter", 0.01)
    os.killpg(process.pid, sent)
    _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == code
    assert b"interrupted" in err and b"Traceback" not in err
    assert not (clone / ".venv").exists()
    assert run_clone("version").stdout == "packages 1\n"


def test_half_made_environment_of_a_killed_run_is_made_again(run_clone: Run, clone: Path) -> None:
    process = subprocess.Popen([str(clone / "bin/launcher")], env={"PATH": PATH}, start_new_session=True)
    wait_until((clone / ".venv/bin/python").exists, "the environment's interpreter", 0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert run_clone("version").stdout == "packages 1\n"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to make a checkout of another user's")
def test_checkout_of_another_user_is_left_alone(run_clone: Run, clone: Path, tmp_path: Path) -> None:
    for path in (clone, *clone.rglob("*")):
        os.chown(path, 12345, 12345)
    done = run_clone("version", HOME=str(tmp_path / "home"))
    assert done.stdout == "packages 1\n"
    assert not list(clone.glob(".venv*"))
    assert len(list((tmp_path / "home/.cache/gpu-launcher").glob("venv-*/bin/python"))) == 1
    assert run_clone("version", HOME=str(tmp_path / "home")).stderr == ""


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_committed_locks_are_hashed_and_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    packages = [line for line in text.splitlines() if "==" in line]
    assert packages and all(line.endswith("\\") for line in packages), "every package is followed by hashes"


def test_the_two_locks_agree() -> None:
    def pins(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line.rstrip(" \\") for line in lines if "==" in line and line[0].isalpha()}

    assert pins("requirements.txt") <= pins("requirements-dev.txt")
