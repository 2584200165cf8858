"""Why nothing may be installed here: somebody's engine, a socket that refuses, no rights, no disk. Pure."""

from __future__ import annotations

from launcher import podman_socket
from launcher.errors import LauncherError, NotReadyError, TimedOutError
from launcher.setup.detect import SetupFacts
from launcher.setup.engine_packages import OFFICIAL_DOCUMENT, engine_packages
from launcher.setup.probe import EngineState

UNREACHABLE = "docker-daemon-unreachable"
DISK_BYTES = 25_000_000_000  # image, its build cache and the package downloads
PODMAN = ("podman", "podman-docker")
USE_LOCAL = "Start that engine, or use the local one: unset DOCKER_HOST DOCKER_CONTEXT; docker context use default"


def find_obstacle(facts: SetupFacts, *, needs_root: bool, commands: tuple[str, ...] = ()) -> LauncherError | None:
    """The first reason to stop before anything is downloaded, None when there is none."""
    obstacle = socket_obstacle(facts.engine, facts.engine_url, facts.engine_source)
    if obstacle is None and facts.engine in (EngineState.ABSENT, EngineState.DEAD):
        obstacle = _engine_obstacle(facts)
    return obstacle or (_rights_obstacle(facts, commands) if needs_root else None) or _disk_obstacle(facts)


def socket_obstacle(state: EngineState, url: str, source: str) -> LauncherError | None:
    """What the socket itself says; never an invitation to install a second engine beside it."""
    podman = podman_socket.is_podman_socket(url)
    if state is EngineState.REFUSES and podman:
        return NotReadyError(
            f"you may not use Podman's socket at {url}: it belongs to another user",
            f"Use your own: {podman_socket.USE_OWN}",
            cause_id="docker-permission-denied",
        )
    if state is EngineState.REFUSES:
        return NotReadyError(
            f"you may not use the Docker engine's socket at {url}: it is for members of the group docker",
            "Ask an administrator to add you to the group docker, then log in again (or run: newgrp docker).",
            cause_id="docker-permission-denied",
        )
    if state is EngineState.HANGS:
        return TimedOutError(
            f"the Docker engine at {url} accepts connections but does not answer",
            "See what holds it up (its log: journalctl -u docker), then restart it: sudo systemctl restart docker",
            cause_id=UNREACHABLE,
        )
    if source != "default" and state in (EngineState.ABSENT, EngineState.DEAD):
        return NotReadyError(
            f"no engine answers at {url}, which {source} names",
            podman_socket.START if podman else USE_LOCAL,
            cause_id=UNREACHABLE,
        )
    return None


def has_engine_program(facts: SetupFacts) -> bool:
    """True when a Docker engine is installed, whether it runs or not."""
    return any(name not in PODMAN for name in facts.engine_packages) or any(
        "dockerd" in path for path in facts.engine_programs
    )


def _engine_obstacle(facts: SetupFacts) -> LauncherError | None:
    if has_engine_program(facts):
        return None
    if facts.other_sockets:
        return NotReadyError(
            f"no engine answers at {facts.engine_url}, but there is a socket at {facts.other_sockets[0]}",
            f"Use that engine: export DOCKER_HOST=unix://{facts.other_sockets[0]}",
            cause_id=UNREACHABLE,
        )
    if facts.engine_packages or facts.engine_programs:
        return NotReadyError(
            "Podman is installed, but its Docker-compatible socket is not on",
            podman_socket.USE_OWN,
            cause_id=UNREACHABLE,
        )
    if facts.engine is EngineState.DEAD:
        return NotReadyError(
            f"{facts.engine_url} exists, but nothing answers there and no engine is installed",
            "Start the engine it belongs to; if there is none, remove the file and run this again.",
            cause_id=UNREACHABLE,
        )
    if not facts.apt or engine_packages(facts.distribution, facts.version) is None:
        return NotReadyError(
            f"no container engine is installed, and launcher knows the packages of Debian and Ubuntu only, not of "
            f"{facts.distribution} {facts.version}".rstrip(),
            f"Follow {OFFICIAL_DOCUMENT}, then run this again.",
            cause_id=UNREACHABLE,
        )
    return None


def _rights_obstacle(facts: SetupFacts, commands: tuple[str, ...]) -> LauncherError | None:
    if facts.is_root or facts.sudo:
        return None
    return NotReadyError(
        "setting up this machine needs root, you are not root, and sudo is not installed",
        "Ask an administrator to run, as root: launcher setup --yes",
        cause_id=UNREACHABLE if commands else None,
    )


def _disk_obstacle(facts: SetupFacts) -> LauncherError | None:
    if not facts.engine_is_local or facts.image or facts.free_bytes >= DISK_BYTES:
        return None
    return NotReadyError(
        f"{facts.free_bytes / 1e9:.1f} GB are free at {facts.data_root}, and the image needs {DISK_BYTES / 1e9:.0f} GB",
        'Free some space, or set "data-root" in /etc/docker/daemon.json to a directory on a larger disk.',
        cause_id="docker-disk-full",
    )
