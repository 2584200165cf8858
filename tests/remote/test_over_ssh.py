"""DOCKER_HOST=ssh://gpu-box for real: real sshd, real OpenSSH client; the engine of this machine is the remote one."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import docker
import pytest

from tests.end_to_end.environment import get
from tests.remote.conftest import Laptop, boxed, ssh_processes
from tests.remote.ssh_server import UID
from tests.services import free_port
from tests.waiting import DEADLINE_SECONDS, wait_until

pytestmark = pytest.mark.docker


def log_in(result: dict[str, object], command: str) -> subprocess.CompletedProcess[str]:
    """As `up` said, never prompting."""
    argv = shlex.split(result["ssh"]["command"])  # type: ignore[index]
    argv[1:1] = ["-o", "BatchMode=yes"]
    return subprocess.run([*argv, command], capture_output=True, text=True, timeout=DEADLINE_SECONDS)


@pytest.mark.usefixtures("jupyter_image")
def test_jupyterlab_of_another_machine_is_one_url_here(laptop: Laptop, docker_client: docker.DockerClient) -> None:
    result = laptop.up("jupyter")
    name, url = str(result["name"]), str(result["url"])
    assert result["first_line"] == "Device: CPU (no NVIDIA card found on gpu-box)"
    assert get(url)[0] == 200
    published = docker_client.containers.get(str(result["container_id"])).attrs["NetworkSettings"]["Ports"]["8888/tcp"]
    [tunnel] = laptop.tunnels()
    # The engine's port is taken on this machine, which is gpu-box too: the laptop's end is another one.
    assert [str(tunnel["port"])] == [p["HostPort"] for p in published] and tunnel["local"] != tunnel["port"]
    assert f":{tunnel['local']}/" in url
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    ends = {line.split()[1] for line in listening.splitlines() if line.split()[3] == "0A"}
    assert [end for end in ends if end.endswith(f":{tunnel['local']:04X}")] == [f"0100007F:{tunnel['local']:04X}"]
    inside = laptop.run("exec", name, "--", "sh", "-c", "id -u; touch /workspace/made; cat")
    assert inside.stdout.split() == [str(UID)]
    assert (laptop.box.home / "project/made").stat().st_uid == UID


@pytest.mark.usefixtures("jupyter_image")
def test_a_dead_tunnel_is_made_anew_and_ends_with_its_environment(laptop: Laptop) -> None:
    result = laptop.up("jupyter")
    name, url = str(result["name"]), str(result["url"])
    assert len(laptop.connections()) == 2
    control = str(laptop.tunnels()[0]["control"])
    [tunnel] = [process for process, words in ssh_processes().items() if control in words]
    os.kill(tunnel, signal.SIGKILL)
    with pytest.raises(OSError):
        get(url)
    assert laptop.run("url", name).stdout.strip() == url and get(url)[0] == 200
    assert laptop.run("stop", name).code == 0
    with pytest.raises(OSError):
        get(url)
    assert laptop.run("start", name).stdout.strip() == url and get(url)[0] == 200
    assert json.loads(laptop.run("status", name, "--json").stdout)["state"] == "running"
    assert laptop.run("rm", name, "--yes").code == 0
    assert laptop.tunnels() == [] and laptop.is_left_alone()


@pytest.mark.usefixtures("ssh_image")
def test_ssh_goes_through_the_machine_without_a_question(laptop: Laptop) -> None:
    result = laptop.up("ssh")
    name = str(result["name"])
    done = log_in(result, "id -u; hostname")
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [str(UID), name], "")
    # Also by a login of its own, when the kept connection is gone.
    [connection] = laptop.connections()
    control = connection.split(" -S ")[1].split()[0]
    subprocess.run(["ssh", "-F", "/dev/null", "-S", control, "-O", "exit", "x"], capture_output=True, check=True)
    wait_until(lambda: not Path(control).exists(), "the end of the kept connection")
    before = len(laptop.box.logins())
    done = log_in(result, "true")
    assert (done.returncode, done.stderr, len(laptop.box.logins())) == (0, "", before + 1)
    # The environment's own host key is checked through the jump too.
    known = laptop.home / ".local/state/gpu-launcher/ssh/known_hosts" / name
    known.write_text(f"{known.read_text().split()[0]} {other_key(laptop)}")
    assert "IDENTIFICATION HAS CHANGED" in log_in(result, "true").stderr


def other_key(laptop: Laptop) -> str:
    """Type and base64 of a key that no server has."""
    return " ".join((laptop.box.directory / "client.pub").read_text().split()[:2])


@pytest.mark.usefixtures("ssh_image")
def test_verbs_share_one_login(laptop: Laptop) -> None:
    result = laptop.up("ssh")
    logins = len(laptop.box.logins())
    for verb in ("ls", "status", "logs", "stop", "start", "down"):
        arguments = [] if verb == "ls" else [str(result["name"])]
        assert laptop.run(verb, *arguments).code == 0
    assert len(laptop.box.logins()) == logins
    assert laptop.run("rm", str(result["name"]), "--yes").code == 0
    assert laptop.is_left_alone()


@pytest.mark.usefixtures("ssh_image")
def test_a_port_is_chosen_by_what_is_free_on_the_engines_machine(laptop: Laptop) -> None:
    """Here both machines have the same ports, so what listens on "the laptop" is also in use there."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = laptop.run("up", "x-ssh", "--mode", "ssh", "--project", "project", "--port", str(port))
    assert refused.code in (2, 4), refused.stderr


def test_a_user_who_may_not_use_the_engine_there_is_told_so(user_directories: Path) -> None:
    with boxed(group=False) as box:
        laptop = Laptop(user_directories, box)
        box.know(user_directories)
        done = laptop.run("ls", "--json")
        assert done.code == 3 and json.loads(done.stdout)["error"]["cause_id"] == "docker-permission-denied"
        assert laptop.is_left_alone()


def test_a_server_that_forbids_forwarding_is_named(user_directories: Path) -> None:
    with boxed("AllowStreamLocalForwarding no") as box:
        laptop = Laptop(user_directories, box)
        box.know(user_directories)
        done = laptop.run("ls")
        assert done.code == 3 and "forbids socket forwarding" in done.stderr


def test_paths_are_those_of_the_engines_machine(laptop: Laptop) -> None:
    (laptop.home / "only-here").mkdir()
    (laptop.box.home / "link").symlink_to("/etc")
    (laptop.box.home / "real").mkdir(exist_ok=True)
    cases = {
        ("only-here",): "project only-here does not exist on gpu-box",
        ("/",): "would hand gpu-box to the container",
        (".",): "holds your home directory on gpu-box",
        ("link",): "would hand gpu-box to the container",
        ("real", "--mount", "/var/run/docker.sock"): "would hand gpu-box to the container",
        ("real", "--mount", "nothing-there"): "--mount: nothing-there does not exist on gpu-box",
    }
    for arguments, cause in cases.items():
        done = laptop.run("up", "paths-ssh", "--mode", "ssh", "--project", *arguments)
        assert done.code == 2 and cause in done.stderr, done.stderr
    assert not (laptop.box.home / "only-here").exists() and not (laptop.box.home / "nothing-there").exists()


def test_what_goes_wrong_on_the_way_is_named(laptop: Laptop) -> None:
    known = laptop.home / ".ssh/known_hosts_gpu_box"
    right = known.read_text()
    known.write_text("")
    unknown = laptop.run("ls")
    assert unknown.code == 3 and "is not known yet" in unknown.stderr and "DOCKER_HOST" in unknown.stderr
    known.write_text(f"{right.split()[0]} {other_key(laptop)}\n")
    changed = laptop.run("ls", "--json")
    assert changed.code == 3 and json.loads(changed.stdout)["error"]["cause_id"] == "ssh-host-key-changed"
    known.write_text(right)
    stranger = laptop.run("ls", "--json", host="ssh://nobody-there@gpu-box")
    assert stranger.code == 3 and json.loads(stranger.stdout)["error"]["cause_id"] == "ssh-publickey-denied"
    assert laptop.run("ls", host="ssh://gpu-box/nothing.sock").code == 3
    assert laptop.run("ls", host=f"ssh://127.0.0.1:{free_port()}").code == 3
    assert laptop.is_left_alone()
