"""`up --sync` and `sync` with a real engine: whose the files are, how long they stay, and what a full disk or a
Ctrl-C leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from launcher import labels
from launcher.plan import workspace_volume
from tests.conftest import ROOT, RunLauncher
from tests.end_to_end.environment import Up, new_name, project_of
from tests.waiting import DEADLINE_SECONDS, wait_until

pytestmark = pytest.mark.usefixtures("jupyter_image")
LARGE = 1 << 30  # bytes, which take some seconds


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = project_of(tmp_path / "project", 1234)
    (directory / "sub").mkdir()
    (directory / "sub/mühe b.py").write_text("print('one')\n")
    (directory / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (directory / "run.sh").chmod(0o755)
    return directory


def test_a_copy_belongs_to_the_user_outlives_its_container_and_comes_back(
    up: Up, run_launcher: RunLauncher, docker_client: docker.DockerClient, project: Path
) -> None:
    started = up("jupyter", "--sync", project=project)
    name = started.name
    mounts = docker_client.containers.get(started.result["container_id"]).attrs["Mounts"]
    assert str(project) not in [mount["Source"] for mount in mounts]
    listed = run_launcher("exec", name, "--", "stat", "-c", "%u:%g %a %n", ".", "sub/mühe b.py", "run.sh")
    assert listed.stdout.splitlines() == ["1234:1234 755 .", "1234:1234 644 sub/mühe b.py", "1234:1234 755 run.sh"]
    work = "./run.sh > out && mkdir -p runs/1 && echo 0.9 > runs/1/accuracy && ln -s runs/1 last && rm sub/*"
    assert run_launcher("exec", name, "--", "sh", "-c", work).code == 0
    assert run_launcher("down", name).code == 0
    listed = json.loads(run_launcher("ls", "--json").stdout)["environments"]
    assert [row["synced"] for row in listed if row["name"] == name] == [True]
    assert run_launcher("sync", name).code == 3
    again = up("jupyter", name=name, project=project)
    assert again.result["synced"] is True
    fetched = json.loads(run_launcher("sync", "--fetch", "--delete", name, "--json").stdout)
    assert (fetched["files"], fetched["deleted"]) == (["last", "out", "runs/1/accuracy"], ["sub/mühe b.py"])
    assert (project / "out").read_text() == "ran\n" and (project / "last").readlink() == Path("runs/1")
    fetched_paths = [project / path for path in ("out", "last", "runs", "runs/1", "runs/1/accuracy")]
    assert {path.lstat().st_uid for path in fetched_paths} == {1234}
    assert run_launcher("rm", name, "--yes").code == 0
    assert workspace_volume(os.getuid(), name) not in [volume.name for volume in docker_client.volumes.list()]
    assert (project / "runs/1/accuracy").read_text() == "0.9\n"


def test_a_conflict_is_exit_code_4_and_loses_nothing(up: Up, run_launcher: RunLauncher, project: Path) -> None:
    name = up("jupyter", "--sync", project=project).name
    (project / "run.sh").write_text("mine, longer\n")
    assert run_launcher("exec", name, "--", "sh", "-c", "echo theirs > run.sh").code == 0
    for way in ((), ("--fetch",)):
        done = run_launcher("sync", name, *way)
        assert (done.code, done.stdout) == (4, "") and "run.sh: it changed on both sides" in done.stderr
        assert "--force" in done.stderr.splitlines()[-1]
    assert (project / "run.sh").read_text() == "mine, longer\n"
    assert run_launcher("exec", name, "--", "cat", "run.sh").stdout == "theirs\n"
    assert run_launcher("sync", name, "--force").code == 0
    assert run_launcher("exec", name, "--", "cat", "run.sh").stdout == "mine, longer\n"


@pytest.fixture
def small_volume(docker_client: docker.DockerClient, project: Path) -> Iterator[str]:
    """The name of an environment that has a volume of 4 MB for its copy already."""
    name = new_name("jupyter")
    found = {labels.NAME: name, labels.OWNER: str(os.getuid()), labels.PROJECT: str(project)}
    found |= {labels.MODE: "jupyter", labels.ROLE: labels.ROLE_ENVIRONMENT, labels.PORT: "0", labels.SYNC: "true"}
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=4m"}
    volume = docker_client.volumes.create(workspace_volume(os.getuid(), name), driver_opts=options, labels=found)
    yield name
    if volume.name in [left.name for left in docker_client.volumes.list()]:
        volume.remove(force=True)


def test_no_room_inside_is_said_and_mended(
    run_launcher: RunLauncher, small_volume: str, project: Path, request: pytest.FixtureRequest
) -> None:
    (project / "a").write_text("small")
    (project / "large").write_bytes(bytes(8_000_000))
    request.addfinalizer(lambda: run_launcher("rm", small_volume, "--yes"))
    done = run_launcher("up", small_volume, "--mode", "jupyter", "--sync", cwd=project)
    assert done.code == 3 and "runs, without all of the project's files" in done.stderr, done.stderr
    cause, next_step = done.stderr.splitlines()[-2:]
    assert "df -h" in next_step and next_step.endswith(f"then: launcher sync {small_volume}"), cause
    # tmpfs is emptied with the last container that mounts it, so the copy is looked at while it runs.
    assert run_launcher("exec", small_volume, "--", "ls", "-A").stdout.split() == ["sub"]
    (project / "large").unlink()
    assert run_launcher("sync", small_volume).code == 0
    assert run_launcher("exec", small_volume, "--", "cat", "a").stdout == "small"


def test_an_interrupted_run_leaves_no_half_file_and_is_repaired(
    up: Up, run_launcher: RunLauncher, docker_client: docker.DockerClient, project: Path
) -> None:
    started = up("jupyter", "--sync", project=project)
    with (project / "large").open("wb") as file:
        file.truncate(LARGE)
    container = docker_client.containers.get(started.result["container_id"])
    process = subprocess.Popen(
        [str(ROOT / "bin/launcher"), "sync", started.name], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    volume = docker_client.volumes.get(workspace_volume(os.getuid(), started.name))
    arriving = Path(volume.attrs["Mountpoint"], ".gpu-launcher-sync/files/0")
    wait_until(arriving.exists, "the file is on its way", 0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 130 and f"go on by: launcher sync {started.name}" in said, said
    assert container.exec_run(["test", "-e", "/workspace/large"]).exit_code == 1
    assert json.loads(run_launcher("sync", started.name, "--json").stdout)["files"] == ["large"]
    listed = container.exec_run(["stat", "-c", "%s", "/workspace/large"]).output
    assert listed == b"%d\n" % LARGE
    assert container.exec_run(["test", "-e", "/workspace/.gpu-launcher-sync"]).exit_code == 1
