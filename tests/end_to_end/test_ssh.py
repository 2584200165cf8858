"""`launcher up --mode ssh` for real: the OpenSSH client logs in without a question or a warning."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from tests.conftest import RunLauncher
from tests.end_to_end.environment import Started, project_of, ssh
from tests.images.containers import past_its_start
from tests.waiting import DEADLINE_SECONDS, eventually

pytestmark = pytest.mark.usefixtures("ssh_image")
TORCH = 'python -c "import torch; print(torch.__version__)"'


def test_torch_over_ssh_without_prompt_or_warning(shared_ssh: Started) -> None:
    done = ssh(shared_ssh, TORCH)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2.8.0")


def test_the_session_has_no_privileges(shared_ssh: Started) -> None:
    done = ssh(shared_ssh, "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; id -u")
    assert done.stdout.split() == ["CapEff:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2", "1234"]


def test_the_host_key_is_checked(shared_ssh: Started, tmp_path: Path) -> None:
    """With another key on record the client must refuse: trust is by the key, not by switching the check off."""
    wrong = tmp_path / "known_hosts"
    other = "AAAAC3NzaC1lZDI1NTE5AAAAIGJrqtTS9V8CJFc6nFhYRBc4YuJNSyJMmGNkTj3VJLGN"
    wrong.write_text(f"gpu-launcher-{shared_ssh.name} ssh-ed25519 {other}\n")
    done = ssh(shared_ssh, "true", "-o", f"UserKnownHostsFile={wrong}")
    assert done.returncode == 255 and "host key" in done.stderr.lower()


def test_other_keys_and_passwords_are_refused(shared_ssh: Started, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "stranger")], check=True)
    options = ["-F", "/dev/null", "-i", str(tmp_path / "stranger"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    port = str(shared_ssh.result["port"])
    done = subprocess.run(["ssh", *options, "-p", port, "user@127.0.0.1", "true"], capture_output=True, text=True)
    assert done.returncode == 255 and "Permission denied (publickey)" in done.stderr


def test_remote_forwarding_and_pivoting_are_refused(shared_ssh: Started) -> None:
    done = ssh(shared_ssh, "true", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1")
    assert done.returncode == 255 and "forwarding failed" in done.stderr


def test_scp_and_rsync_like_streams_keep_bytes(shared_ssh: Started) -> None:
    content = "line\n" * 10_000
    assert ssh(shared_ssh, "cat > /workspace/streamed", stdin=content).returncode == 0
    assert (shared_ssh.project / "streamed").read_text() == content


def test_login_survives_stop_start_and_down_up(
    up: Callable[..., Started], run_launcher: RunLauncher, tmp_path: Path
) -> None:
    project = project_of(tmp_path / "project", 1234)
    started = up("ssh", project=project)
    for step in (("stop",), ("start",), ("down",)):
        assert run_launcher(*step, started.name).code == 0
    again = up("ssh", project=project, name=started.name)
    assert again.result["ssh"] == started.result["ssh"]
    done = ssh(again, TORCH)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("2.8.0")


@pytest.mark.parametrize("uid", [0, 1000055])
def test_any_uid_logs_in(up: Callable[..., Started], uid: int) -> None:
    done = ssh(up("ssh", uid=uid), "id -u; touch /workspace/x")
    assert (done.stdout.strip(), done.stderr, done.returncode) == (str(uid), "", 0)


def test_a_killed_sshd_is_noticed_and_repaired(
    up: Callable[..., Started], docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    project = project_of(tmp_path / "project", 1234)
    started = up("ssh", project=project)
    container = docker_client.containers.get(started.result["container_id"])
    assert eventually(lambda: past_its_start(container))
    assert container.exec_run(["pkill", "-KILL", "sshd"]).exit_code == 0

    def unhealthy() -> bool:
        container.reload()
        return bool(container.attrs["State"]["Health"]["Status"] == "unhealthy")

    assert eventually(unhealthy)
    assert ssh(up("ssh", project=project, name=started.name), "true").returncode == 0


def test_include_line_leaves_the_users_configuration_alone(up: Callable[..., Started], user_directories: Path) -> None:
    config = user_directories / ".ssh/config"
    config.parent.mkdir(mode=0o700)
    config.write_text("Host mine\n    User me\n")
    up("ssh")
    lines = config.read_text().splitlines()
    assert lines[0].startswith("Include ") and lines[1:] == ["Host mine", "    User me"]


def test_a_colleagues_key_may_log_in_and_a_private_one_is_refused(
    up: Callable[..., Started], run_launcher: RunLauncher, tmp_path: Path
) -> None:
    colleague = tmp_path / "colleague"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(colleague)], check=True)
    refused = run_launcher("up", "never", "--mode", "ssh", "--key", str(colleague))
    assert refused.code == 2 and "is a private key" in refused.stderr
    assert colleague.read_text().splitlines()[1] not in refused.stderr
    started = up("ssh", "--key", f"{colleague}.pub")
    options = ["-F", "/dev/null", "-i", str(colleague), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    argv = ["ssh", *options, "-p", str(started.result["port"]), "user@127.0.0.1", "echo in"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "in\n", "")


def test_over_ssh_the_laptops_part_is_printed(up: Callable[..., Started], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "198.51.100.9 50000 198.51.100.1 22")
    started = up("ssh")
    assert "ProxyJump" in started.result["remote"] and "ssh-ed25519" in started.result["remote"]
