"""The command line: key sets, exit codes, recordings. Runs on an empty injected root: no card, no driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envcheck.checks import CHECKS
from envcheck.cli import main
from envcheck.codec import encode
from envcheck.facts import Facts, Memory
from tests.unit.envcheck.machines import cpu_host, gpu_host
from tests.waiting import DEADLINE_SECONDS

REPOSITORY = Path(__file__).parents[3]
BARE = ["--skip", "torch", "--skip", "cudnn", "--skip", "nccl"]


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVCHECK_ROOT", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", "")


def recording(tmp_path: Path, facts: Facts) -> str:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps({"schema_version": 1, "facts": encode(facts)}))
    return str(path)


def test_json_has_exactly_the_documented_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", *BARE]) == 0
    report = json.loads(capsys.readouterr().out)
    keys = {"schema_version", "verdict", "root_cause", "reason", "versions", "consequences", "findings"}
    assert set(report) == keys
    versions = {"torch", "torch_cuda", "torchvision", "cudnn", "nccl", "driver", "cuda_driver", "python"}
    assert set(report["versions"]) == versions
    for finding in report["findings"]:
        assert set(finding) == {"check", "status", "cause", "summary", "evidence", "fix", "reference"}
    assert report["verdict"] == "no-gpu"


@pytest.mark.parametrize(
    ("facts", "options", "code"),
    [
        (gpu_host(), [], 0),
        (gpu_host(), ["--strict", "--require-gpu"], 0),
        (gpu_host(memory=Memory(1, 1)), [], 0),
        (gpu_host(memory=Memory(1, 1)), ["--strict"], 1),
        (gpu_host(driver="470.1"), [], 1),
        (cpu_host(), [], 0),
        (cpu_host(), ["--strict"], 0),
        (cpu_host(), ["--require-gpu"], 3),
    ],
)
def test_text_and_json_give_the_same_documented_exit_code(
    facts: Facts, options: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path, facts)
    assert main(["--facts", path, *options]) == code
    text = capsys.readouterr().out
    assert main(["--facts", path, "--json", *options]) == code
    verdict = json.loads(capsys.readouterr().out)["verdict"]
    first = text.splitlines()[0]
    assert verdict.replace("-", " ").upper() in first
    assert ("OK" in first) == (verdict == "ok")


@pytest.mark.parametrize("argv", [["--only", "weather"], ["--nonsense"], ["list", "nonsense"], ["gpu", "--fast"]])
def test_wrong_usage_is_exit_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(argv)
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [None, "not json", "[]", '{"facts": {"memory": 3}}', '{"facts": {"python": 3}}'])
def test_an_unreadable_recording_is_exit_3_in_two_lines(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_text(content)
    assert main(["--facts", str(path)]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 2 and "next:" in told.err


def test_text_is_one_line_a_topic_and_has_no_colour_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    lines = capsys.readouterr().out.splitlines()
    assert "\x1b" not in "".join(lines)
    topics = [line.split()[1] for line in lines if line.startswith("  ")]
    assert topics == ["driver", "cuda", "torch", "cudnn", "nccl", "container", "memory", "health"]


def test_a_failure_shows_cause_reason_evidence_and_fix_and_its_command_in_the_second_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--facts", recording(tmp_path, gpu_host(driver="470.1"))])
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert "[driver-too-old]" in lines[0] and lines[1].strip().startswith("fix: ")
    for label in ("  why ", "  seen ", "  fix ", "  docs "):
        assert label in text


def test_list_documents_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [check.id for check in CHECKS]
    assert main(["list", "cuda-init"]) == 0
    text = capsys.readouterr().out
    assert "What it checks:" in text and "Reference: https://" in text


def test_a_recording_of_this_run_is_judged_like_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    main(["--json"])
    direct = json.loads(capsys.readouterr().out)
    main(["record"])
    path = tmp_path / "recorded.json"
    path.write_text(capsys.readouterr().out)
    main(["--facts", str(path), "--json"])
    replayed = json.loads(capsys.readouterr().out)
    assert replayed["verdict"] == direct["verdict"]
    assert [item["check"] for item in replayed["findings"]] == [item["check"] for item in direct["findings"]]
    assert [item["status"] for item in replayed["findings"]] == [item["status"] for item in direct["findings"]]


def wrapper(*arguments: str, cwd: Path, path: Path = REPOSITORY / "bin/envcheck", **environ: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(path), *arguments], cwd=cwd, env=environ, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    return done.returncode, done.stdout + done.stderr


def test_the_wrapper_runs_with_an_empty_environment_and_from_any_directory(tmp_path: Path) -> None:
    code, text = wrapper("list", cwd=tmp_path)
    assert code == 0 and "cuda-init" in text


def test_the_wrapper_is_not_misled_by_modules_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('imported from the working directory')")
    (tmp_path / "envcheck").mkdir()
    code, text = wrapper("list", cwd=tmp_path)
    assert code == 0 and "cuda-init" in text


def test_the_module_is_not_misled_by_modules_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('imported from the working directory')")
    command = [sys.executable, "-m", "envcheck", "list"]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.returncode == 0, done.stderr


def test_the_wrapper_follows_a_link_to_itself(tmp_path: Path) -> None:
    link = tmp_path / "bin" / "doctor"
    link.parent.mkdir()
    link.symlink_to(os.path.relpath(REPOSITORY / "bin/envcheck", link.parent))
    code, text = wrapper("list", cwd=tmp_path, path=link)
    assert code == 0 and "cuda-init" in text


def test_the_wrapper_names_the_interpreter_it_needs_when_there_is_none(tmp_path: Path) -> None:
    script = (REPOSITORY / "bin/envcheck").read_text().replace("/usr/bin/python3 /usr/local/bin/python3", "")
    copy = tmp_path / "envcheck"
    copy.write_text(script)
    copy.chmod(0o755)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("dirname", "readlink", "sh"):
        (tools / tool).symlink_to(next(p for p in (Path("/usr/bin") / tool, Path("/bin") / tool) if p.exists()))
    code, text = wrapper("list", cwd=tmp_path, path=copy, PATH=str(tools))
    assert code == 3 and "Python 3.10" in text and "next:" in text


def test_nothing_heavy_is_imported_by_this_process() -> None:
    program = "import sys; from envcheck.cli import main; main(['list']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in ("'torch'", "'docker'", "'rich'", "'socket'", "'urllib.request'"):
        assert name not in done.stderr
