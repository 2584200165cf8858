"""Which docker command line can build here: BuildKit is needed, and it is known only by trying."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.endpoint import resolve_endpoint
from launcher.errors import NotReadyError
from launcher.setup.probe import ask_engine

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

PODMAN_NEXT_STEP = (
    "install it (apt-get install podman), or bring the images from a machine with Docker: launcher bundle save FILE "
    "there, launcher bundle load FILE here"
)


@dataclass(frozen=True, slots=True)
class BuildClient:
    """A docker command line that was seen to build with BuildKit, and the engine it talks to."""

    path: str
    docker_host: str | None
    tls: tuple[str, ...] = ()
    podman: bool = False

    def command(self, *arguments: str) -> list[str]:
        """argv for this client and engine."""
        if self.podman:
            return [self.path, "--remote", *(["--url", self.docker_host] if self.docker_host else []), *arguments]
        host = ["--host", self.docker_host] if self.docker_host else []
        return [self.path, *host, *self.tls, *arguments]

    def adapt(self, dockerfile: Path) -> None:
        """Take out of a staged Dockerfile what this builder cannot do.

        Podman 4.3 may wait for a cache's lock for ever: https://github.com/containers/buildah/issues/4342
        """
        if self.podman:
            text = dockerfile.read_text(encoding="utf-8")
            dockerfile.write_text(text.replace(",sharing=locked", ""), encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """The caller's environment with BuildKit switched on, and for Podman a format that keeps the health check."""
        if self.podman:
            return {**os.environ, "BUILDAH_FORMAT": "docker"}
        return {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", "DOCKER_CLI_HINTS": "false"}


def find_client(
    docker_host: str | None = None, candidates: Iterable[str] | None = None, tls: tuple[str, ...] = ()
) -> BuildClient:
    """The first candidate that builds a file of two lines with BuildKit.

    On Podman, which does not speak BuildKit's protocol, it is the podman command, whose own builder knows the same
    mounts. Raises NotReadyError naming what each candidate said.
    """
    url = docker_host or resolve_endpoint(os.environ).url
    if is_podman(url):
        return _podman_client(url)
    refusals = []
    for path in candidate_paths(os.environ) if candidates is None else candidates:
        client = BuildClient(path, docker_host, tls)
        refusal = _trial(client)
        if refusal is None:
            return client
        refusals.append(f"{path}: {refusal}")
    cause = "no docker command line here can build images" if refusals else "there is no docker command line here"
    raise NotReadyError(f"{cause}{': ' if refusals else ''}{'; '.join(refusals)}", NEXT_STEP)


def is_podman(url: str) -> bool:
    """Whether Podman answers there: https://docs.podman.io/en/latest/_static/api.html (SystemVersion)"""
    body = ask_engine(url, "/version").body
    components = body.get("Components") if isinstance(body, dict) else None
    return any(component.get("Name") == "Podman Engine" for component in components or ())


def _podman_client(url: str) -> BuildClient:
    path = shutil.which("podman")
    client = BuildClient(path or "podman", url, podman=True)
    refusal = _trial(client) if path else "the podman command is not on this machine"
    if refusal is not None:
        raise NotReadyError(f"no image can be built on Podman: {refusal}", PODMAN_NEXT_STEP)
    return client


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
