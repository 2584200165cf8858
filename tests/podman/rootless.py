"""Podman without root, as an ordinary user of the private Podman's machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.private_engine import TIED_TO_PARENT, stop
from tests.podman.private_podman import ALL, KEPT, ROOTLESS, PrivatePodman
from tests.services import engine_answers, wait_for_service

# The user's files that outlive the tests.
CACHE = f"{KEPT}/rootless"
USER = ("setpriv", f"--reuid={ROOTLESS}", f"--regid={ROOTLESS}", "--clear-groups", "--")


@dataclass(frozen=True, slots=True)
class RootlessPodman:
    """The user's service, on the machine of `podman`."""

    podman: PrivatePodman

    @property
    def home(self) -> Path:
        """The user's home."""
        return self.podman.directory / "home"

    @property
    def socket(self) -> Path:
        """Where the user's service listens."""
        return self.home / "podman.sock"

    def environment(self) -> dict[str, str]:
        """What a program of the user needs. Nothing of the tests' own directories, which are root's."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        return own | {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": f"/run/user/{ROOTLESS}",
            "XDG_CACHE_HOME": CACHE,
            "CONTAINERS_CONF": str(self.podman.directory / "containers.conf"),
            "DOCKER_HOST": f"unix://{self.socket}",
        }

    def run(
        self, *command: str, cwd: Path | None = None, namespaces: Sequence[str] = ALL
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the user, on Podman's machine."""
        return subprocess.run(
            self.podman.inside(*USER, *command, cwd=cwd or self.home, namespaces=namespaces),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )


@contextmanager
def rootless_podman(podman: PrivatePodman) -> Iterator[RootlessPodman]:
    """Start the user's service and stop it. Raises UnavailableError where the kernel does not let it run."""
    user = RootlessPodman(podman)
    command = ("podman", "--root", f"{CACHE}/store", "--storage-driver", "overlay", "system", "service", "--time=0")
    log = podman.directory / "rootless.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*TIED_TO_PARENT, *podman.inside(*USER, *command, f"unix://{user.socket}")],
            env=user.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for_service(process, lambda: engine_answers(user.socket), log, "Podman")
        yield user
    finally:
        stop(process)
