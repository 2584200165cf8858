"""bin/envcheck where everything around it is wrong: options, files, streams, variables, directories.

Whatever is wrong, it is told in one line, with one line of what to do, a documented exit code, and no traceback.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from envcheck import cli
from envcheck.facts import Facts
from envcheck.probes.torch import find_python
from envcheck.recording import LARGEST
from tests.unit.envcheck.test_cli import BARE, REPOSITORY
from tests.waiting import DEADLINE_SECONDS

ENVCHECK = str(REPOSITORY / "bin/envcheck")


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The variables for an empty root, with this Python."""
    (tmp_path / "root").mkdir()
    return {"ENVCHECK_ROOT": str(tmp_path / "root"), "ENVCHECK_INTERPRETER": sys.executable, "PATH": "/usr/bin:/bin"}


def run(*arguments: str, through: str = 'exec "$@"', cwd: Path | None = None, **environ: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; `through` may close or redirect streams."""
    command = ["/bin/sh", "-c", through, "sh", ENVCHECK, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, errors="replace", timeout=DEADLINE_SECONDS
    )
    return done.returncode, done.stdout, done.stderr


def assert_two_lines(stderr: str, *words: str) -> None:
    first, second = stderr.splitlines()
    assert first.startswith("envcheck: ") and second.startswith("  next: "), stderr
    assert [word for word in words if word not in stderr] == [], stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--only", "drivr"), "did you mean driver?"),
        (("--skip", "weather"), "one of: driver"),
        (("lst",), "did you mean list?"),
        (("--strct",), "did you mean --strict?"),
        (("--json", "gpu"), "the command comes first: envcheck gpu"),
        (("--facts",), "envcheck --help"),
        (("list", "cuda-int"), "did you mean cuda-init?"),
        (("list", "weather"), "next: envcheck list"),
        (("gpu", "--quik"), "did you mean --quick?"),
        (("record", "file"), "envcheck record --help"),
    ],
)
def test_wrong_usage_names_what_was_meant(arguments: tuple[str, ...], word: str, machine: dict[str, str]) -> None:
    code, out, err = run(*arguments, **machine)
    assert (code, out) == (2, "")
    assert_two_lines(err, word)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\x00\xff\xfe", "not text in UTF-8"),
        (b'{"facts": {"cuda": ', "not all of it"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"schema_version": 1}', "no object `facts`"),
        (b" " * (LARGEST + 1), "larger than 16 MiB"),
        (b'{"facts": {"cuda": {"devices": [{"index": "first"}]}}}', "facts.cuda.devices[0].index"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(
    content: bytes, reason: str, tmp_path: Path, machine: dict[str, str]
) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(content)
    code, out, err = run("--facts", str(path), **machine)
    assert (code, out) == (3, "")
    assert_two_lines(err, str(path), reason)


@pytest.mark.parametrize("path", ["/", "/nonexistent", "/dev/zero"])
def test_what_is_no_file_is_refused(path: str, machine: dict[str, str]) -> None:
    code, out, err = run("--facts", path, **machine)
    assert (code, out) == (3, "")
    assert_two_lines(err, f"cannot read {path}")


def test_a_recording_of_a_newer_envcheck_with_odd_characters_is_judged(tmp_path: Path, machine: dict[str, str]) -> None:
    path = tmp_path / "facts.json"
    memory = {"error": "\ud800\x1b[31mred\nsecond line", "invented_later": 1}
    path.write_text(json.dumps({"schema_version": 99, "facts": {"memory": memory, "later": {}}}))
    code, out, err = run("--facts", str(path), **machine)
    assert (code, err) == (0, "")
    line = next(line for line in out.splitlines() if "memory" in line)
    assert "\\ud800" in line and "second line" in line and "\x1b" not in out


@pytest.mark.parametrize("arguments", [tuple(BARE), ("list",), ("record",), ("--help",), ("gpu", "--kernel-only")])
def test_a_reader_that_goes_and_a_stream_that_is_closed_are_no_error(
    arguments: tuple[str, ...], machine: dict[str, str]
) -> None:
    usual = run(*arguments, **machine)[0]
    assert run(*arguments, through='"$@" | head -n 1', **machine)[2].replace("proving", "") == ""
    assert run(*arguments, through='exec "$@" >&-', **machine)[::2] == (usual, "")
    assert run(*arguments, through='exec "$@" >&- 2>&-', **machine) == (usual, "", "")


def test_a_full_disk_is_told(machine: dict[str, str]) -> None:
    code, _, err = run("record", through='exec "$@" > /dev/full', **machine)
    assert code == 3
    assert_two_lines(err, "No space left on device")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *[("ENVCHECK_TIMEOUT", value) for value in ("abc", "0", "-1", "nan", "inf")],
        ("ENVCHECK_SCAN_SECONDS", "long"),
        ("ENVCHECK_PYTHON", "/nonexistent"),
        ("ENVCHECK_PYTHON", "/"),
    ],
)
def test_a_variable_that_makes_no_sense_is_wrong_usage(variable: str, value: str, machine: dict[str, str]) -> None:
    code, out, err = run(**machine, **{variable: value})
    assert (code, out) == (2, "")
    assert_two_lines(err, f"{variable}={value}", f"unset {variable}")


def test_a_fault_of_its_own_is_told_as_one_and_its_place_on_request(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> Facts:
        raise error

    monkeypatch.setattr(cli, "examine", broken)
    for error in (ValueError("of a test"), PermissionError(13, "Permission denied", "/secret")):
        assert cli.main([]) == 3
        assert_two_lines(capsys.readouterr().err, "a fault of envcheck itself", str(error))
    monkeypatch.setenv("ENVCHECK_DEBUG", "1")
    with pytest.raises(PermissionError):
        cli.main([])


def test_an_environment_that_cannot_be_looked_into_is_passed_over() -> None:
    """By a name that is too long, which the system refuses as it does a directory that may not be entered."""
    closed = f"/{'x' * 300}"
    found = find_python({"VIRTUAL_ENV": closed, "CONDA_PREFIX": closed, "HOME": closed, "PATH": f"{closed}/shims"})
    assert not any("xxx" in place for place in found[1])


def test_a_variable_counts_only_where_it_is_used(machine: dict[str, str]) -> None:
    assert run("list", **machine, ENVCHECK_TIMEOUT="abc")[0] == 0
    assert run("gpu", "--kernel-only", **machine, ENVCHECK_PYTHON="/nonexistent")[0] == 3
    assert run(*BARE, **machine, ENVCHECK_TIMEOUT="30", ENVCHECK_SCAN_SECONDS="0.5")[0] == 0


def test_a_program_that_is_no_python_is_named_and_not_taken_for_a_broken_pytorch(machine: dict[str, str]) -> None:
    code, out, _ = run(**machine, ENVCHECK_PYTHON="/bin/ls")
    assert code == 1
    assert out.splitlines()[0] == "envcheck: FAIL: /bin/ls does not run as a Python"
    assert "import torch" in out.splitlines()[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"PATH": ""},
        {"PATH": "/nonexistent"},
        {"LC_ALL": "C", "TERM": "dumb", "COLUMNS": "40"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LD_LIBRARY_PATH": "/tmp/\udcff"},
        {"HOME": "/nonexistent"},
        {"PYTHONPATH": ":"},
        {"LD_LIBRARY_PATH": ":"},
    ],
    ids=str,
)
def test_a_poor_environment_and_a_directory_full_of_traps_change_nothing(
    changes: dict[str, str], tmp_path: Path, machine: dict[str, str]
) -> None:
    traps = tmp_path / "traps"
    traps.mkdir()
    for name in ("torch", "json", "argparse", "typing", "enum", "dataclasses", "pathlib", "ctypes", "subprocess"):
        (traps / f"{name}.py").write_text("raise SystemExit('imported from the working directory')")
    (traps / "libcuda.so.1").write_text("no library")
    traps.chmod(0o555)
    code, out, err = run(*BARE, cwd=traps, **{**machine, **changes})
    assert (code, err) == (0, ""), err
    assert out.startswith("envcheck: NO GPU: ")
