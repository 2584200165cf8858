"""What a user does with an environment, on a real Podman.

Launcher, Podman and images are the real ones; the images lack PyTorch. There is no systemd, so that Podman starts no
health checks.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.end_to_end.machines import Run
from tests.podman.conftest import UID, Launch, two_lines
from tests.podman.private_podman import PrivatePodman
from tests.waiting import DEADLINE_SECONDS

GET = f"""
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout={DEADLINE_SECONDS}).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def ssh(podman: PrivatePodman, started: Run, command: str) -> str:
    """What a command prints over the real OpenSSH client, as `up` said, never prompting."""
    argv = shlex.split(started.json["ssh"]["command"])
    done = podman.run(argv[0], "-o", "BatchMode=yes", *argv[1:], command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def status_of(podman: PrivatePodman, url: str) -> int:
    return int(podman.run(sys.executable, "-c", GET, url).stdout)


def states(launch: Launch) -> dict[str, str]:
    return {row["name"]: row["state"] for row in launch("ls", "--json").json["environments"]}


@pytest.mark.usefixtures("nothing_left")
def test_an_ssh_environment_from_up_to_rm(launch: Launch, podman: PrivatePodman) -> None:
    try:
        started = launch("up", "life", "--mode", "ssh", "--yes", "--json")
        assert started.code == 0, started.stderr
        project = Path(started.json["project"])
        assert ssh(podman, started, "id -u; id -g; touch /workspace/made ~/kept").split() == [str(UID)] * 2
        assert (project / "made").stat().st_uid == (project / "made").stat().st_gid == UID
        assert states(launch) == {"life": "running"}
        assert launch("exec", "life", "--", "sh", "-c", "exit 7").code == 7
        assert launch("stop", "life").code == 0
        assert states(launch) == {"life": "stopped"}
        assert launch("status", "life", "--json").json["state"] == "stopped"
        again = launch("up", "life", "--yes", "--json")
        assert (again.code, ssh(podman, again, "ls ~/kept")) == (0, "/home/user/kept")
        assert launch("down", "life").code == 0
        assert states(launch) == {"life": "down"}
        anew = launch("up", "life", "--mode", "ssh", "--yes", "--json")
        assert (anew.code, ssh(podman, anew, "ls ~/kept")) == (0, "/home/user/kept")
    finally:
        assert launch("rm", "life", "--yes").code == 0


@pytest.mark.usefixtures("nothing_left")
def test_the_url_of_jupyterlab_works_stays_and_needs_its_token(launch: Launch, podman: PrivatePodman) -> None:
    try:
        started = launch("up", "lab", "--mode", "jupyter", "--yes")
        assert started.code == 0, started.stderr
        url = started.stdout.strip()
        place, token = url.split("/lab?token=")
        assert status_of(podman, f"{place}/api/contents?token={token}") == 200
        assert status_of(podman, f"{place}/api/contents") == 403
        assert launch("stop", "lab").code == 0
        assert launch("up", "lab", "--yes").stdout.strip() == url
        assert launch("down", "lab").code == 0
        assert launch("up", "lab", "--mode", "jupyter", "--yes").stdout.strip() == url
    finally:
        assert launch("rm", "lab", "--yes").code == 0


@pytest.mark.usefixtures("nothing_left")
def test_an_environment_has_no_privileges_and_its_limits(launch: Launch, podman: PrivatePodman) -> None:
    look = "import json, os; s = dict(l.split(':', 1) for l in open('/proc/self/status')); "
    look += "m = {l.split()[1]: l.split() for l in open('/proc/mounts')}; "
    look += "print(json.dumps([s['CapEff'].strip(), s['CapBnd'].strip(), s['NoNewPrivs'].strip(), "
    look += "m['/'][3].split(',')[0], m['/tmp'][2] == 'tmpfs', os.statvfs('/dev/shm').f_blocks * 4096 >> 20]))"
    try:
        flags = ("--memory", "512m", "--pids", "333", "--shm-size", "64m")
        assert launch("up", "tight", "--mode", "ssh", "--yes", *flags).code == 0
        found = json.loads(launch("exec", "tight", "--", "python3", "-c", look).stdout)
        assert found == ["0" * 16, "0" * 16, "1", "ro", False, 64]
        container = json.loads(podman.podman("container", "inspect", "gl-0-tight"))[0]
        host = container["HostConfig"]
        assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (512 << 20, 512 << 20, 333)
        assert not host["Privileged"]
        assert [p["HostIp"] for ports in host["PortBindings"].values() for p in ports] == ["127.0.0.1"]
    finally:
        assert launch("rm", "tight", "--yes").code == 0


@pytest.mark.usefixtures("nothing_left")
def test_a_dead_service_is_seen_by_status_and_repaired_by_up(launch: Launch) -> None:
    """`ls` asks Podman alone, whose listing does not tell health."""
    try:
        assert launch("up", "ill", "--mode", "ssh", "--yes").code == 0
        assert launch("status", "ill", "--json").json["state"] == "running"
        assert launch("exec", "ill", "--", "pkill", "-STOP", "sshd").code == 0
        assert launch("status", "ill", "--json").json["state"] == "unhealthy"
        repaired = launch("up", "ill", "--yes")
        assert (repaired.code, "does not answer: restarting it" in repaired.stderr) == (0, True)
        assert launch("status", "ill", "--json").json["state"] == "running"
    finally:
        assert launch("rm", "ill", "--yes").code == 0


@pytest.mark.usefixtures("nothing_left")
def test_another_setting_makes_it_anew_and_keeps_the_home(launch: Launch, podman: PrivatePodman) -> None:
    try:
        assert launch("up", "changed", "--mode", "ssh", "--yes").code == 0
        assert launch("exec", "changed", "--", "touch", "/home/user/kept").code == 0
        other = launch("up", "changed", "--pids", "222", "--yes")
        assert other.code == 0, other.stderr
        assert launch("exec", "changed", "--", "ls", "/home/user/kept").code == 0
        assert json.loads(podman.podman("container", "inspect", "gl-0-changed"))[0]["HostConfig"]["PidsLimit"] == 222
    finally:
        assert launch("rm", "changed", "--yes").code == 0


@pytest.mark.usefixtures("nothing_left")
def test_files_go_in_and_out(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("content")
    try:
        assert launch("up", "copied", "--mode", "ssh", "--yes").code == 0
        assert launch("cp", str(tmp_path / "tree"), "copied:/home/user/tree").code == 0
        assert launch("exec", "copied", "--", "stat", "-c", "%u", "/home/user/tree/file").stdout.strip() == str(UID)
        assert launch("cp", "copied:/home/user/tree", str(tmp_path / "back")).code == 0
        assert (tmp_path / "back/file").read_text() == "content"
    finally:
        assert launch("rm", "copied", "--yes").code == 0


@pytest.mark.usefixtures("nothing_left")
def test_a_port_that_is_taken_is_a_conflict_in_two_lines(launch: Launch) -> None:
    try:
        first = launch("up", "first", "--mode", "ssh", "--yes", "--port", "2345")
        assert first.code == 0, first.stderr
        second = launch("up", "second", "--mode", "ssh", "--yes", "--port", "2345")
        assert second.code == 4
        assert "2345" in two_lines(second)[0]
    finally:
        assert launch("rm", "first", "--yes").code == 0


def test_prune_leaves_todays_images_alone(launch: Launch, jupyter_image: str, ssh_image: str) -> None:
    asked = launch("prune")
    assert not {word for image in (jupyter_image, ssh_image) for word in asked.stdout.split() if image in word}
