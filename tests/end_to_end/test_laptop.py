"""What `up` prints for the laptop is followed on one: a second user's files, a real sshd in between, a real login."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.end_to_end.environment import Started, get
from tests.end_to_end.private_engine import cache_directory
from tests.end_to_end.ssh_server import SshServer, ssh_server
from tests.services import UnavailableError, free_port
from tests.waiting import DEADLINE_SECONDS, eventually


@dataclass(frozen=True, slots=True)
class Laptop:
    """The laptop's ~/.ssh. OpenSSH takes the home from the password database, so each file is named on the command line
    or in the configuration."""

    directory: Path

    @property
    def key(self) -> Path:
        return self.directory / "id_ed25519"

    def follow(self, instructions: str) -> None:
        """Append what stands under each `# append to FILE` to that file."""
        target = None
        for line in instructions.splitlines():
            if line.startswith("# append to ~/.ssh/"):
                target = self.directory / line.removeprefix("# append to ~/.ssh/").split()[0]
            elif target is not None:
                with target.open("a") as file:
                    file.write(f"{line}\n")

    def ssh(self, *arguments: str) -> list[str]:
        return ["ssh", "-F", str(self.directory / "config"), *arguments]


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    """Has a key of its own, and the configuration of somebody who uses ssh."""
    directory = tmp_path / "laptop/.ssh"
    directory.mkdir(parents=True, mode=0o700)
    made = Laptop(directory)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made.key)], check=True)
    (directory / "config").write_text(
        f"Host *\n    IdentityFile {made.key}\n    IdentityAgent none\n    BatchMode yes\n"
        f"    UserKnownHostsFile {directory}/known_hosts\n    GlobalKnownHostsFile /dev/null\n"
    )
    return made


@pytest.fixture
def box(laptop: Laptop, user_directories: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    """The GPU machine, which the laptop has logged in to before; the launcher is called in such a session."""
    try:
        with ssh_server(cache_directory(os.environ), laptop.key) as server:
            place = f"[127.0.0.1]:{server.port}"
            (laptop.directory / "known_hosts").write_text(f"{place} {' '.join(server.host_key.split()[:2])}\n")
            monkeypatch.setenv("SSH_CONNECTION", server.connection)
            monkeypatch.setenv("USER", server.user)
            accepted = user_directories / ".ssh/authorized_keys"
            accepted.parent.mkdir(mode=0o700)
            accepted.write_bytes(laptop.key.with_suffix(".pub").read_bytes())
            yield server
    except UnavailableError as error:
        lacking(f"no OpenSSH server: {error}")


@pytest.mark.usefixtures("ssh_image")
def test_ssh_through_the_machine_by_the_printed_configuration(
    box: SshServer, laptop: Laptop, up: Callable[..., Started]
) -> None:
    started = up("ssh")
    laptop.follow(started.result["remote"])
    command = laptop.ssh(started.name, "id -u; hostname")
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.split() == ["1234", started.name]


@pytest.mark.usefixtures("jupyter_image")
def test_jupyterlab_by_the_printed_tunnel(box: SshServer, laptop: Laptop, up: Callable[..., Started]) -> None:
    """Laptop and machine share one loopback here, so the tunnel's own end gets another port."""
    started = up("jupyter")
    printed = started.result["remote"].split()
    forward, port = printed[printed.index("-L") + 1], str(started.result["port"])
    assert forward == f"{port}:127.0.0.1:{port}"
    other = str(free_port())
    printed[printed.index("-L") + 1] = forward.replace(f"{port}:", f"{other}:", 1)
    assert printed[0] == "ssh"
    tunnel = subprocess.Popen(laptop.ssh("-o", "ExitOnForwardFailure=yes", *printed[1:]), stderr=subprocess.PIPE)
    try:
        url = started.result["url"].replace(f":{port}/", f":{other}/")

        def answers() -> bool:
            assert tunnel.poll() is None, tunnel.stderr and tunnel.stderr.read()
            try:
                return get(url)[0] == 200
            except OSError:
                return False

        assert eventually(answers)
    finally:
        tunnel.terminate()
        tunnel.wait()


def test_a_stranger_does_not_get_through_the_machine(
    box: SshServer, laptop: Laptop, ssh_image: str, up: Callable[..., Started], tmp_path: Path
) -> None:
    """The jump is open to him; the environment accepts only the laptop's key."""
    started = up("ssh")
    laptop.follow(started.result["remote"])
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    config = laptop.directory / "config"
    # The first value that OpenSSH finds counts: this key for the environment, the laptop's own for the jump.
    own = (
        f"Host {started.name}\n    IdentityFile {stranger}\n    IdentitiesOnly yes\nMatch host 127.0.0.1 !originalhost "
    )
    text = config.read_text().replace("Host *\n", f"{own}{started.name}\n", 1)
    config.write_text(f"{text}Host *\n    BatchMode yes\n    UserKnownHostsFile {laptop.directory}/known_hosts\n")
    done = subprocess.run(laptop.ssh(started.name, "true"), capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.returncode == 255 and "Permission denied (publickey)" in done.stderr
