"""bin/launcher run for real, from clones of this checkout. A first run's packages are two small wheels made here, so
that no network is needed; that the committed lock installs is tested by every run of bin/test itself."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = "/usr/bin:/bin"
# Stands in for the launcher: what it prints shows argv, isolation, directory, standard input and packages.
STAND_IN = """
import sys
def main():
    import first
    command, *rest = sys.argv[1:] or ["version"]
    if command == "version":
        print("packages", first.VERSION)
    elif command == "echo":
        print(rest, sys.stdin.read(), sys.argv[0])
    elif command == "path":
        print("\\n".join(sys.path))
    elif command == "fail":
        return int(rest[0])
"""


@pytest.fixture
def clone(tmp_path: Path, wheel: Path) -> Path:
    """A checkout under a path with a space: the real wrappers, a stand-in launcher and a lock of one wheel."""
    root = tmp_path / "a clone"
    (root / "launcher/cli").mkdir(parents=True)
    shutil.copytree(ROOT / "bin", root / "bin")
    (root / "launcher/__init__.py").touch()
    (root / "launcher/cli/__init__.py").write_text(STAND_IN)
    lock(root, wheel)
    return root


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(tmp_path_factory.mktemp("wheel"), "1")


@pytest.fixture(scope="module")
def finished(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as the wrapper makes it, made once: most tests are about what comes after."""
    root = tmp_path_factory.mktemp("finished")
    shutil.copytree(ROOT / "bin", root / "bin")
    (root / "launcher/cli").mkdir(parents=True)
    (root / "launcher/cli/__init__.py").write_text(STAND_IN)
    lock(root, wheel)
    subprocess.run([str(root / "bin/launcher")], env={"PATH": PATH}, check=True, capture_output=True)
    return root / ".venv"


@pytest.fixture
def made(clone: Path, finished: Path) -> Path:
    """The clone after its first run."""
    shutil.copytree(finished, clone / ".venv", symlinks=True)
    return clone


def make_wheel(directory: Path, version: str) -> Path:
    """https://packaging.python.org/en/latest/specifications/binary-distribution-format/"""
    path = directory / f"first-{version}-py3-none-any.whl"
    files = {
        "first.py": f"VERSION = {version}\n",
        f"first-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: first\nVersion: {version}\n",
        f"first-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"first-{version}.dist-info/RECORD"
    lines = [f"{name},sha256={digest(text)},{len(text)}\n" for name, text in files.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**files, record: "".join(lines) + f"{record},,\n"}.items():
            wheel.writestr(name, text)
    return path


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def lock(root: Path, wheel: Path, sha256: str | None = None) -> None:
    found = sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest()
    (root / "requirements.txt").write_text(f"first @ {wheel.as_uri()} --hash=sha256:{found}\n")


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(clone: Path, tmp_path: Path) -> Run:
    """Run the wrapper with an empty environment (`env -i`), from an unrelated directory."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def call(*arguments: str, program: Path = clone / "bin/launcher", stdin: str = "", **environ: str):  # type: ignore[no-untyped-def] # noqa: ANN202
        return subprocess.run(
            [str(program), *arguments], env={"PATH": PATH, **environ}, cwd=elsewhere, input=stdin,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return call


def test_first_run_says_what_it_does_and_the_second_is_silent(run: Run, clone: Path) -> None:
    first = run("echo", stdin="typed")
    assert (first.returncode, first.stdout) == (0, "[] typed launcher\n"), "standard input is kept while pip runs"
    assert ".venv" in first.stderr and "made it in" in first.stderr
    second = run("version")
    assert (second.returncode, second.stdout, second.stderr) == (0, "packages 1\n", "")
    assert not list(clone.glob(".venv.log"))


def test_arguments_standard_input_and_exit_code_pass_through(run: Run, made: Path) -> None:
    done = run("echo", "a b", "", "*", "--", "-x", stdin="typed")
    assert done.stdout == "['a b', '', '*', '--', '-x'] typed launcher\n"
    assert run("fail", "42").returncode == 42


def test_through_symbolic_links_and_by_relative_name(run: Run, made: Path, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(made / "bin/launcher")
    (tmp_path / "two").symlink_to("one")
    assert run("version", program=tmp_path / "two").stdout == "packages 1\n"
    named = subprocess.run(["sh", "launcher", "version"], cwd=made / "bin", env={"PATH": PATH}, capture_output=True)
    assert named.stdout == b"packages 1\n"


def test_the_callers_modules_and_python_variables_do_not_leak_in(run: Run, made: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/first.py").write_text("VERSION = 'the wrong one'\n")
    done = run("version", PYTHONPATH=str(tmp_path / "elsewhere"), PYTHONHOME="/nonexistent")
    assert done.stdout == "packages 1\n"


def test_changed_lock_is_installed_and_an_unchanged_one_never(run: Run, made: Path, tmp_path: Path) -> None:
    lock(made, make_wheel(tmp_path, "2"))
    # An older time stamp must not hide the change: archives and rsync set them.
    os.utime(made / "requirements.txt", (0, 0))
    assert run("version").stdout == "packages 2\n"
    (made / "requirements.txt").touch()
    assert run("version").stderr == ""


def test_environment_whose_python_is_gone_is_made_again(run: Run, made: Path) -> None:
    (made / ".venv/bin/python").unlink()
    (made / ".venv/bin/python").symlink_to("/usr/bin/python3.0")
    assert run("version").stdout == "packages 1\n"


def test_two_first_runs_at_once_both_succeed(clone: Path) -> None:
    command, streams = [str(clone / "bin/launcher")], subprocess.PIPE
    runs = [subprocess.Popen(command, env={"PATH": PATH}, stdout=streams, stderr=streams) for _ in range(3)]
    results = [process.communicate(timeout=120) for process in runs]
    assert [out for out, _ in results] == [b"packages 1\n"] * 3
    assert sum(b"made it in" in err for _, err in results) == 1, results


def test_wrong_hash_is_refused_in_two_lines(run: Run, clone: Path, tmp_path: Path) -> None:
    lock(clone, make_wheel(tmp_path, "1"), sha256="0" * 64)
    done = run("version")
    assert done.returncode == 3 and done.stdout == ""
    cause, following = done.stderr.splitlines()[-2:]
    assert cause.startswith("launcher: the packages of requirements.txt could not be installed")
    assert following.startswith("  next: ")
    assert not (clone / ".venv").exists(), "nothing half-made is left"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupted_install_leaves_nothing_and_the_next_run_succeeds(
    run: Run, clone: Path, sent: signal.Signals, code: int
) -> None:
    process = subprocess.Popen(
        [str(clone / "bin/launcher")], env={"PATH": PATH}, stderr=subprocess.PIPE, start_new_session=True
    )
    wait_for((clone / ".venv/bin/python").exists)
    os.killpg(process.pid, sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"interrupted" in err and b"Traceback" not in err
    assert not (clone / ".venv").exists()
    assert run("version").stdout == "packages 1\n"


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_half_made_environment_of_a_killed_run_is_made_again(run: Run, clone: Path) -> None:
    process = subprocess.Popen([str(clone / "bin/launcher")], env={"PATH": PATH}, start_new_session=True)
    wait_for((clone / ".venv/bin/python").exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert run("version").stdout == "packages 1\n"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to make a checkout of another user's")
def test_checkout_of_another_user_is_left_alone(run: Run, clone: Path, tmp_path: Path) -> None:
    for path in (clone, *clone.rglob("*")):
        os.chown(path, 12345, 12345)
    done = run("version", HOME=str(tmp_path / "home"))
    assert done.stdout == "packages 1\n"
    assert not list(clone.glob(".venv*"))
    assert len(list((tmp_path / "home/.cache/gpu-launcher").glob("venv-*/bin/python"))) == 1
    assert run("version", HOME=str(tmp_path / "home")).stderr == ""


def fake_program(directory: Path, name: str, script: str) -> None:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def tools(directory: Path, *names: str) -> str:
    """A PATH with nothing but coreutils' and the shell's programs."""
    directory.mkdir(exist_ok=True)
    for name in (*["sh", "cat", "cut", "id", "readlink", "cksum", "getent", "mkdir", "rm", "date", "cp", "grep", "tail"], *names):
        (directory / name).symlink_to(shutil.which(name, path=PATH) or f"/usr/bin/{name}")
    return str(directory)


def test_without_python(run: Run, tmp_path: Path) -> None:
    done = run(PATH=tools(tmp_path / "tools"))
    assert done.returncode == 3
    assert done.stderr == "launcher: Python 3 was not found on PATH\n  next: Install Python 3.10 or newer\n"


def test_python_that_is_too_old_is_named(run: Run, tmp_path: Path) -> None:
    """The old Python is simulated by a script."""
    fake_program(tmp_path / "old", "python3", "echo 3.9 /usr/bin/python3.9")
    done = run(PATH=f"{tmp_path / 'old'}:{tools(tmp_path / 'tools')}")
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
    fake_program(directory, "apt-get", f'echo "apt-get $*" >> {directory}/log; case "$*" in *python3-venv*) : > {flag} ;; esac')
    return f"{directory}:{tools(tmp_path / 'tools')}"


def test_missing_venv_module_is_one_cause_and_one_next_step(run: Run, debian_without_venv: str) -> None:
    done = run("up", PATH=debian_without_venv)
    assert done.returncode == 3
    cause, following = done.stderr.splitlines()
    assert "cannot make virtual environments" in cause and "apt-get install python3-venv" in following


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, as apt-get does")
def test_root_with_yes_installs_the_venv_module(run: Run, debian_without_venv: str, clone: Path) -> None:
    done = run("version", "--yes", PATH=debian_without_venv)
    log = (Path(debian_without_venv.split(":")[0]) / "log").read_text()
    assert log == "apt-get update -q\napt-get install -y -q --no-install-recommends python3-venv\n"
    assert (clone / ".venv/bin/python").exists()
    assert done.stdout == "packages 1\n"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, as apt-get does")
def test_a_yes_after_the_separator_is_no_consent(run: Run, debian_without_venv: str) -> None:
    done = run("exec", "name", "--", "--yes", PATH=debian_without_venv)
    assert done.returncode == 3
    assert not (Path(debian_without_venv.split(":")[0]) / "log").exists()


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
