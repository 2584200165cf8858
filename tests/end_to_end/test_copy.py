"""`launcher cp` with a real engine: whose the files are, where they may go, and that it needs no running container."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, RunLauncher
from tests.end_to_end.environment import Started
from tests.faults.launching import digests
from tests.waiting import DEADLINE_SECONDS

pytestmark = pytest.mark.usefixtures("jupyter_image")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    source = tmp_path / "my data"
    (source / "sub").mkdir(parents=True)
    (source / "sub/mühe.csv").write_bytes(bytes(range(256)) * 50)
    (source / "sub/mühe.csv").chmod(0o640)
    (source / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (source / "run.sh").chmod(0o755)
    (source / "link").symlink_to("sub")
    return source


def test_a_tree_goes_in_in_the_users_name_and_comes_back_the_same(
    up: Callable[..., Started], run_launcher: RunLauncher, tree: Path, tmp_path: Path
) -> None:
    started = up("jupyter")
    name = started.name
    for place in ("~", "/workspace", "/data", "/tmp"):
        assert run_launcher("cp", str(tree), f"{name}:{place}", cwd=started.project).code == 0
    listed = run_launcher("exec", name, "--", "stat", "-c", "%u:%g %a", "/home/user/my data/sub/mühe.csv")
    assert listed.stdout == "1234:1234 640\n"
    assert run_launcher("exec", name, "--", "/workspace/my data/run.sh").stdout == "ran\n"
    assert (started.project / "my data/run.sh").stat().st_uid == 1234
    assert run_launcher("stop", name).code == 0
    back = tmp_path / "back"
    assert run_launcher("cp", f"{name}:~/my data", str(back)).code == 0
    assert {Path(k).name: v for k, v in digests(back).items()} == {Path(k).name: v for k, v in digests(tree).items()}
    assert (back / "sub/mühe.csv").stat().st_mode & 0o777 == 0o640


def test_what_is_read_only_or_a_directory_is_refused(
    up: Callable[..., Started], run_launcher: RunLauncher, tree: Path, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o755)
    started = up("jupyter", "--mount", f"{locked}:/mnt/locked:ro")
    name = started.name
    for place in ("/usr/local", "/mnt/locked"):
        done = run_launcher("cp", str(tree / "run.sh"), f"{name}:{place}")
        assert (done.code, done.stdout) == (2, "") and "is read-only" in done.stderr and "/workspace" in done.stderr
    assert list(locked.iterdir()) == []
    assert run_launcher("cp", str(tree), f"{name}:~").code == 0
    done = run_launcher("cp", str(tree / "run.sh"), f"{name}:~/my data/sub/mühe.csv/x")
    assert done.code == 2 and "there is no directory" in done.stderr
    (tmp_path / "sub").write_text("a file")
    done = run_launcher("cp", str(tmp_path / "sub"), f"{name}:~/my data")
    assert done.code == 2 and "is a directory" in done.stderr


def test_a_tar_stream_in_and_out(up: Callable[..., Started], tree: Path, run_launcher: RunLauncher) -> None:
    name = up("jupyter").name
    launcher = f"'{ROOT}/bin/launcher' cp"
    pipe = (
        f"tar c -C '{tree.parent}' 'my data' | {launcher} - {name}:~ && {launcher} {name}:'~/my data' - | tar t | sort"
    )
    done = subprocess.run(["sh", "-c", pipe], capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    # tar writes what is not ASCII escaped in the C locale.
    assert [line for line in done.stdout.splitlines() if "csv" not in line] == [
        "my data/",
        "my data/link",
        "my data/run.sh",
        "my data/sub/",
    ], done.stderr
    owner = run_launcher("exec", name, "--", "stat", "-c", "%u", "/home/user/my data/run.sh").stdout
    assert owner == "1234\n"
