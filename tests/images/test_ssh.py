"""sshd in the hardened container, by the real OpenSSH client: in, the same environment, and no further."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.images.containers import UIDS, Ssh, StartContainer, health, past_its_start, run_in, ssh_to, wait_healthy
from tests.waiting import DEADLINE_SECONDS, wait_until

# A root user's container gets exactly what sshd needs to become root's session.
AS_ROOT = {"cap_add": ["SETUID", "SETGID", "SYS_CHROOT"]}
# What differs between ways in by nature: the session's own variables.
OF_THE_SESSION = {"SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "SHLVL", "_", "PWD", "OLDPWD", "TERM", "LS_COLORS"}


@pytest.mark.parametrize("uid", [*UIDS, 33, 0])
def test_login_finds_torch_with_no_warning_for_any_uid(
    start_ssh: StartContainer, key: Path, tmp_path: Path, uid: int
) -> None:
    container = start_ssh(uid, **(AS_ROOT if uid == 0 else {}))
    wait_healthy(container)
    done = ssh_to(container, key, tmp_path).run("id -u; python -c 'import torch; print(torch.__version__)'")
    said = done.stdout.split()
    assert said[0] == str(uid)
    assert said[1].startswith("2.")
    assert done.stderr == ""


def test_no_capability_and_no_new_privileges_in_a_session(start_ssh: StartContainer, key: Path, tmp_path: Path) -> None:
    container = start_ssh(1234)
    wait_healthy(container)
    status = ssh_to(container, key, tmp_path).run("cat /proc/self/status").stdout
    wanted = {"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}
    assert {name: status.split(f"{name}:")[1].split()[0] for name in wanted} == wanted


def environment(text: str) -> dict[str, str]:
    entries = dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)
    return {name: value for name, value in entries.items() if name not in OF_THE_SESSION}


def test_every_way_in_has_the_same_environment(start_ssh: StartContainer, key: Path, tmp_path: Path) -> None:
    given = {"PLAIN": "1", "SPACES": "a b  $HOME \"'", "LINES": "one\ntwo", "EMPTY": ""}
    container = start_ssh(environment=given)
    wait_healthy(container)
    client = ssh_to(container, key, tmp_path)
    by_exec = environment(run_in(container, "env", "-0"))
    assert {name: by_exec[name] for name in given} == given
    assert environment(client.run("env -0").stdout) == by_exec
    assert environment(client.run("bash -lc 'env -0'").stdout) == by_exec
    command = ["ssh", "-F", str(client.config), "-T", "environment"]
    login = subprocess.run(command, input="env -0\n", capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert environment(login.stdout) == by_exec


def test_files_go_both_ways(start_ssh: StartContainer, key: Path, tmp_path: Path) -> None:
    container = start_ssh()
    wait_healthy(container)
    client = ssh_to(container, key, tmp_path)
    source = tmp_path / "file with space"
    source.write_bytes(bytes(range(256)) * 100)
    subprocess.run(
        ["scp", "-q", "-F", str(client.config), str(source), "environment:copy"], check=True, timeout=DEADLINE_SECONDS
    )
    subprocess.run(["scp", "-q", "-F", str(client.config), "environment:copy", str(tmp_path / "back")], check=True)
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed on this machine")
def test_rsync_works(start_ssh: StartContainer, key: Path, tmp_path: Path) -> None:
    container = start_ssh()
    wait_healthy(container)
    wrapper = shlex.join(["ssh", "-F", str(ssh_to(container, key, tmp_path).config)])
    subprocess.run(["rsync", "-e", wrapper, "environment:.bashrc", str(tmp_path)], check=True, timeout=DEADLINE_SECONDS)
    assert (tmp_path / ".bashrc").stat().st_size


def test_vs_code_tunnel_works_and_nothing_reaches_further(start_ssh: StartContainer, key: Path, tmp_path: Path) -> None:
    """VS Code tunnels to a server on the container's loopback; other hosts, -R and the agent are refused."""
    container = start_ssh()
    wait_healthy(container)
    client = ssh_to(container, key, tmp_path)
    container.exec_run(["python", "-m", "http.server", "9000", "--bind", "127.0.0.1"], detach=True)
    wait_until(lambda: container.exec_run(["curl", "-sf", "http://127.0.0.1:9000/"]).exit_code == 0, "server")
    assert " 200 OK" in tunnel(client, "127.0.0.1:9000").stdout
    beyond = tunnel(client, f"{run_in(container, 'hostname', '-i').strip()}:2222")
    assert beyond.returncode != 0
    assert "administratively prohibited" in beyond.stderr
    options = ["-R", "9001:127.0.0.1:1", "-o", "ExitOnForwardFailure=yes"]
    command = ["ssh", "-F", str(client.config), *options, "environment", "true"]
    assert subprocess.run(command, capture_output=True, check=False, timeout=DEADLINE_SECONDS).returncode != 0


def tunnel(client: Ssh, destination: str) -> subprocess.CompletedProcess[str]:
    """Ask `destination` for a page through the same kind of channel that -D and -L open."""
    command = ["ssh", "-F", str(client.config), "-W", destination, "environment"]
    return subprocess.run(
        command, input="GET / HTTP/1.0\r\n\r\n", capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS
    )


def test_the_server_configuration_is_the_hardened_one(start_ssh: StartContainer) -> None:
    container = start_ssh()
    wait_healthy(container)
    effective = dict(
        line.split(" ", 1)
        for line in run_in(container, "/usr/sbin/sshd", "-T", "-f", "/etc/gpu-launcher/sshd_config").splitlines()
    )
    wanted = {
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "no",
        "permitrootlogin": "no",
        "usepam": "no",
        "permitemptypasswords": "no",
        "allowagentforwarding": "no",
        "x11forwarding": "no",
        "allowtcpforwarding": "local",
        "allowstreamlocalforwarding": "no",
        "permittunnel": "no",
        "permitlisten": "none",
        "gatewayports": "no",
        "permituserenvironment": "no",
        "strictmodes": "yes",
        "hostkeyalgorithms": "ssh-ed25519",
        "authenticationmethods": "publickey",
        "allowusers": "user",
    }
    assert {name: effective.get(name) for name in wanted} == wanted
    assert sorted(effective["permitopen"].split()) == ["127.0.0.1:*", "[::1]:*", "localhost:*"]


def test_strangers_are_refused(start_ssh: StartContainer, key: Path, tmp_path: Path) -> None:
    container = start_ssh()
    wait_healthy(container)
    client = ssh_to(container, key, tmp_path)
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    client.config.write_text(client.config.read_text().replace(str(key), str(other)))
    refused = client.run("true", check=False)
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_the_host_key_survives_a_restart_and_differs_between_containers(start_ssh: StartContainer) -> None:
    first, second = start_ssh(), start_ssh()
    wait_healthy(first)
    wait_healthy(second)
    path = "/run/gpu-launcher/ssh_host_ed25519_key.pub"
    before = run_in(first, "cat", path)
    assert run_in(second, "cat", path) != before
    first.restart(timeout=5)
    wait_healthy(first)
    assert run_in(first, "cat", path) == before


@pytest.mark.parametrize("signal", ["KILL", "STOP"])
def test_unhealthy_when_sshd_is_killed_or_stopped(start_ssh: StartContainer, signal: str) -> None:
    container = start_ssh()
    wait_healthy(container)
    wait_until(lambda: past_its_start(container), "running for ten seconds")
    run_in(container, "bash", "-c", f"kill -{signal} $(cat /run/gpu-launcher/service.pid)")
    wait_until(lambda: health(container) == "unhealthy", "unhealthy")


def test_without_any_key_it_ends_at_once_and_says_what_to_do(start_container: StartContainer, ssh_image: str) -> None:
    container = start_container(ssh_image)
    assert container.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 1
    log = container.logs().decode()
    assert "nobody could log in" in log
    assert "next: mount your public key" in log


def test_a_private_key_given_by_mistake_is_refused(
    start_container: StartContainer, ssh_image: str, key: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "key"
    wrong.write_bytes(key.read_bytes())
    wrong.chmod(0o644)
    container = start_container(ssh_image, volumes={str(wrong): {"bind": "/run/secrets/authorized_keys", "mode": "ro"}})
    assert container.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 1
    assert "holds a private key" in container.logs().decode()
    assert key.read_text().splitlines()[1] not in container.logs().decode()


def test_eight_sessions_at_once(start_ssh: StartContainer, key: Path, tmp_path: Path) -> None:
    container = start_ssh()
    wait_healthy(container)
    client = ssh_to(container, key, tmp_path)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(client.run("echo in").stdout)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["in\n"] * 8
