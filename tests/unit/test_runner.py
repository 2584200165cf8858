"""What bin/test does around pytest: which half gets which argument, and the closing line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner.main import Arguments, host_runs, split
from tests.runner.summary import Summary, closing_line, read_summary

REPORT = '<testsuites><testsuite errors="1" failures="2" skipped="3" tests="10" time="1.5"></testsuite></testsuites>'


@pytest.fixture(autouse=True)
def not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_without_paths_everything_runs_in_its_place() -> None:
    assert split(["-k", "name"]) == Arguments((), ("tests/torch",), ("-k", "name"), strict=False)


def test_unit_tests_alone_need_no_engine() -> None:
    arguments = split(["tests/unit/test_runner.py::test_x", "-q", "--strict"])
    assert arguments == Arguments(("tests/unit/test_runner.py::test_x",), None, ("-q",), strict=True)
    assert not arguments.engine
    assert split(["tests/unit", "tests/images"]).engine and split([]).engine


def test_torch_tests_alone_run_in_the_image_only() -> None:
    assert split(["tests/torch/cifar10", "-x"]) == Arguments(None, ("tests/torch/cifar10",), ("-x",), strict=False)


def test_a_full_run_goes_in_parallel_and_a_chosen_test_does_not() -> None:
    parallel, browser = host_runs(split(["-q"])).values()
    assert "-n" in parallel and parallel[-3:] == ("-q", "--ignore=tests/browser", "tests")
    assert browser == ("-q", "tests/browser"), "nothing starts containers beside the browser"
    for chosen in (["tests/unit"], ["--pdb"], ["-x"]):
        (alone,) = host_runs(split(chosen)).values()
        assert "-n" not in alone


def test_ci_is_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert split([]).strict


def test_closing_line_adds_both_halves_up(tmp_path: Path) -> None:
    (tmp_path / "host.xml").write_text(REPORT)
    host = read_summary("on the host", tmp_path / "host.xml")
    assert host == Summary("on the host", passed=4, failed=2, errors=1, skipped=3)
    line = closing_line([host, Summary("in the image", passed=6)], 12.345)
    assert line.strip("= ") == "2 failed, 10 passed, 3 skipped, 1 errors in 12.35s"


def test_a_run_that_ended_without_a_report_is_not_taken_for_a_pass(tmp_path: Path) -> None:
    crashed = read_summary("in the image", tmp_path / "none.xml")
    assert crashed.missing and "without a report" in closing_line([crashed], 1)
