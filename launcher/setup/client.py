"""Which docker command line can build here: BuildKit is needed, and it is known only by trying."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import NotReadyError

KNOWN_PLACES = ("/usr/bin/docker", "/usr/local/bin/docker", "/usr/libexec/docker/docker")
TRIAL_SECONDS = 60
# A mount in RUN needs BuildKit; the stage it stands in is not the one asked for, so nothing runs or is pulled.
TRIAL_DOCKERFILE = (
    "FROM scratch AS unused\nRUN --mount=type=cache,target=/x true\nFROM scratch\nCOPY Dockerfile /Dockerfile\n"
)
NEXT_STEP = (
    "install one that has BuildKit: apt-get install docker-buildx docker-cli (Debian 13 and later), "
    "docker-buildx-plugin (Docker's own packages) or docker.io (Debian 12)"
)


@dataclass(frozen=True, slots=True)
class BuildClient:
    """A docker command line that was seen to build with BuildKit, and the engine it talks to."""

    path: str
    docker_host: str | None
    tls: tuple[str, ...] = ()

    def command(self, *arguments: str) -> list[str]:
        """argv for this client and engine."""
        host = ["--host", self.docker_host] if self.docker_host else []
        return [self.path, *host, *self.tls, *arguments]

    def environment(self) -> dict[str, str]:
        """The caller's environment with BuildKit switched on."""
        return {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", "DOCKER_CLI_HINTS": "false"}


def find_client(
    docker_host: str | None = None, candidates: Iterable[str] | None = None, tls: tuple[str, ...] = ()
) -> BuildClient:
    """The first candidate that builds a file of two lines with BuildKit.

    Raises NotReadyError naming what each candidate said.
    """
    refusals = []
    for path in candidate_paths(os.environ) if candidates is None else candidates:
        client = BuildClient(path, docker_host, tls)
        refusal = _trial(client)
        if refusal is None:
            return client
        refusals.append(f"{path}: {refusal}")
    cause = "no docker command line here can build images" if refusals else "there is no docker command line here"
    raise NotReadyError(f"{cause}{': ' if refusals else ''}{'; '.join(refusals)}", NEXT_STEP)


def candidate_paths(environ: Mapping[str, str]) -> list[str]:
    """Every docker on PATH and in the known places, once each, in that order."""
    found: list[str] = []
    places = [str(Path(part) / "docker") for part in environ.get("PATH", os.defpath).split(os.pathsep) if part]
    seen: set[str] = set()
    for place in (*places, *KNOWN_PLACES):
        if shutil.which(place) and (real := os.path.realpath(place)) not in seen:
            seen.add(real)
            found.append(place)
    return found


def _trial(client: BuildClient) -> str | None:
    """None when `client` can build, else the last line it said."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "Dockerfile").write_text(TRIAL_DOCKERFILE)
        try:
            done = subprocess.run(
                client.command("build", "--quiet", "--network", "host", directory),
                env=client.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TRIAL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    lines = done.stdout.strip().splitlines()
    if done.returncode:
        return lines[-1] if lines else f"exit {done.returncode}"
    subprocess.run(client.command("image", "rm", lines[-1]), capture_output=True, check=False)
    return None
