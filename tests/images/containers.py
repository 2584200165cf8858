"""Run the images as the launcher and plain `docker run` do, and wait for what a user would wait for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.waiting import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    from docker.models.containers import Container

T = TypeVar("T")

# What `docker run --cap-drop ALL --security-opt no-new-privileges --read-only --init` means.
HARDENED: dict[str, Any] = {
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "read_only": True,
    "init": True,
    "detach": True,
}
UIDS = (1000, 1234, 1000055)
StartContainer = Callable[..., "Container"]


def health(container: Container) -> str:
    """`starting`, `healthy` or `unhealthy`; fails at once when the container has ended."""
    container.reload()
    state = container.attrs["State"]
    assert state["Running"], container.logs().decode()
    return str(state["Health"]["Status"])


def wait_healthy(container: Container) -> None:
    wait_until(lambda: health(container) == "healthy", "healthy")


def port_of(container: Container, inside: int) -> int:
    container.reload()
    published = container.ports[f"{inside}/tcp"]
    assert published
    return int(published[0]["HostPort"])


def run_in(container: Container, *command: str) -> str:
    """Standard output of a command by exec, as the container's own user; fails when it fails."""
    code, output = container.exec_run(list(command))
    assert isinstance(output, bytes)
    assert code == 0, output.decode()
    return output.decode()


def past_its_start(container: Container) -> bool:
    """Past the service's first ten seconds, in which the start program takes its end as a failed start."""
    return int(run_in(container, "sh", "-c", "ps -o etimes= -p $(cat /run/gpu-launcher/service.pid)")) > 10


@dataclass(frozen=True, slots=True)
class Ssh:
    """A real OpenSSH client with a configuration of its own; asks nothing, trusts only the key the container shows."""

    config: Path

    def run(
        self, *command: str, check: bool = True, timeout: float = DEADLINE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["ssh", "-F", str(self.config), "environment", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done


def ssh_to(container: Container, key: Path, directory: Path) -> Ssh:
    """Write a configuration with the host key read out of the container, and return the client."""
    public = run_in(container, "cat", "/run/gpu-launcher/ssh_host_ed25519_key.pub")
    known_hosts = directory / "known_hosts"
    known_hosts.write_text(f"environment {' '.join(public.split()[:2])}\n")
    config = directory / "ssh_config"
    config.write_text(
        f"Host environment\n  HostName 127.0.0.1\n  Port {port_of(container, 2222)}\n  User user\n"
        f"  HostKeyAlias environment\n  UserKnownHostsFile {known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        f"  StrictHostKeyChecking yes\n  BatchMode yes\n  IdentityFile {key}\n  IdentitiesOnly yes\n"
        "  IdentityAgent none\n"
    )
    return Ssh(config)
