"""`envcheck explain` from the command line: forms, exit codes, and what cannot be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envcheck.cli import main

REPOSITORY = Path(__file__).parents[4]
FAULT = "Failed to initialize NVML: Driver/library version mismatch"
KEYS = {"cause", "check", "confidence", "line", "evidence", "why", "fix", "reference"}


@pytest.fixture(autouse=True)
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("ID=debian\n")
    monkeypatch.setenv("ENVCHECK_ROOT", str(tmp_path))


def log(tmp_path: Path, text: str) -> str:
    path = tmp_path / "train.log"
    path.write_text(text)
    return str(path)


def piped(*arguments: str, text: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "envcheck", "explain", *arguments]
    return subprocess.run(command, input=text, capture_output=True, cwd=REPOSITORY, env=os.environ)


def test_json_has_exactly_the_documented_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--json", log(tmp_path, f"a\n{FAULT}\nRuntimeError: No CUDA GPUs are available\n")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"schema_version", "matches"} and document["schema_version"] == 1
    assert [match["cause"] for match in document["matches"]] == ["driver-library-mismatch", "cuda-devices-masked"]
    first = document["matches"][0]
    assert set(first) == KEYS
    assert (first["check"], first["line"], first["evidence"]) == ("driver-library", 2, FAULT)
    assert isinstance(first["confidence"], float) and isinstance(first["fix"], list) and first["fix"]
    assert first["reference"].startswith("https://")


def test_nothing_recognised_is_an_empty_list_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--json", log(tmp_path, "KeyError: 'label'\n")]) == 1
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "matches": []}


def test_the_text_says_cause_and_fix_in_its_first_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", log(tmp_path, f"RuntimeError: No CUDA GPUs are available\n{FAULT}\n")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("envcheck explain: ") and lines[0].endswith("[driver-library-mismatch]")
    assert lines[1].startswith("     fix: sudo reboot")
    assert f"  seen  line 2: {FAULT}" in lines
    assert "  fix   likely caused by driver-library-mismatch: fix that first" in lines
    assert "\x1b" not in "".join(lines)


def test_the_text_says_honestly_that_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", log(tmp_path, "KeyError: 'label'\n")]) == 1
    out = capsys.readouterr().out
    assert "no known cause was recognised" in out and "next: envcheck" in out


def test_a_fault_of_the_program_sends_nobody_to_the_driver(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", log(tmp_path, "RuntimeError: CUDA error: device-side assert triggered\n")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("envcheck explain: the program itself is at fault [user-code]")
    assert "driver" not in out and "reinstall" not in out


def test_the_fix_is_cut_to_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", "--json", log(tmp_path, "Found no NVIDIA driver on your system.\n")])
    steps = json.loads(capsys.readouterr().out)["matches"][0]["fix"]
    assert steps[0].startswith("sudo apt install nvidia-driver") and not any("Ubuntu" in step for step in steps)


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_standard_input_is_read(arguments: tuple[str, ...]) -> None:
    ended = piped(*arguments, text=f"\xff{FAULT}\n".encode("latin-1"))
    assert ended.returncode == 0 and b"[driver-library-mismatch]" in ended.stdout and ended.stderr == b""


def test_an_empty_input_says_so() -> None:
    ended = piped(text=b"")
    assert ended.returncode == 1 and b"the text is empty" in ended.stdout


@pytest.mark.parametrize("name", ["missing.log", "."])
def test_what_cannot_be_read_is_one_line_of_cause_and_one_of_next_step(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explain", name]) == 3
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.splitlines()) == 2
    assert captured.err.startswith(f"envcheck: cannot read {name}: ") and "  next: " in captured.err


def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", "--fast"])
    assert ended.value.code == 2


def test_the_help_of_envcheck_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "envcheck explain [FILE|-]" in capsys.readouterr().out
