"""Every message of an engine that has a known cause, and what to tell the user.

Messages vary between engine versions, so each pattern matches what stayed the same from 20.10 to 28.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from launcher.errors import ConflictError, LauncherError, NotReadyError, RlimitRefusedError, TimedOutError


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A pattern of an engine's message, the error it stands for, its cause id, text and next step."""

    pattern: str
    error: type[LauncherError]
    cause_id: str | None
    cause: str
    next_step: str


SETUP = "Run: launcher setup   (it installs and configures the NVIDIA Container Toolkit)"
KNOWN_MESSAGES = (
    KnownMessage(
        r"could not select device driver .*gpu|no known GPU vendor found",
        NotReadyError,
        "container-no-gpu-runtime",
        "the engine cannot pass GPUs through: no NVIDIA runtime and no CDI spec",
        SETUP,
    ),
    KnownMessage(
        r"unresolvable CDI devices|CDI device injection failed",
        NotReadyError,
        "container-cdi-unresolvable",
        "no CDI spec names the requested GPU, or the spec is stale",
        "Regenerate it: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
    ),
    KnownMessage(
        r"unknown or invalid runtime name|Unknown runtime specified",
        NotReadyError,
        "container-unknown-runtime",
        "the engine has no runtime of that name",
        SETUP,
    ),
    KnownMessage(
        r"Runtime Hook directly .*not supported|specify the NVIDIA Container Runtime",
        NotReadyError,
        "container-cdi-legacy-conflict",
        "the NVIDIA Container Toolkit is in CDI mode and refuses --gpus",
        SETUP,
    ),
    KnownMessage(
        r"unsatisfied condition: cuda",
        NotReadyError,
        "container-requirement-unsatisfied",
        "the image's CUDA requirement refuses this driver",
        "Install a newer NVIDIA driver, then run: envcheck",
    ),
    KnownMessage(
        r"load library failed: libnvidia-ml",
        NotReadyError,
        "container-driver-libs-missing",
        "the toolkit cannot load the NVIDIA driver's libraries on the engine's host",
        "Install the NVIDIA driver there; run: envcheck",
    ),
    KnownMessage(
        r"driver/library version mismatch",
        NotReadyError,
        "driver-library-mismatch",
        "the NVIDIA driver was updated but the old kernel module is still loaded",
        "Reboot the machine.",
    ),
    KnownMessage(
        r"setting rlimit",
        RlimitRefusedError,
        None,
        "the engine may not raise the limit of locked memory",
        "Run the engine as root on the host itself.",
    ),
    KnownMessage(
        r"port is already allocated|address already in use|ports are not available",
        ConflictError,
        "docker-port-in-use",
        "the port is in use by another program",
        "Choose another with --port N, or leave --port out.",
    ),
    KnownMessage(
        r"no space left on device",
        NotReadyError,
        "docker-disk-full",
        "the engine has no disk space left",
        "See what uses it: docker system df",
    ),
    KnownMessage(
        r"toomanyrequests|rate limit",
        NotReadyError,
        "docker-rate-limited",
        "the registry refuses for too many requests",
        "Wait, or set a mirror.",
    ),
    KnownMessage(
        r"cannot start a paused container|is paused, unpause",
        ConflictError,
        None,
        "somebody has paused the container",
        "Let it go on: docker unpause CONTAINER (docker ps names it), then run this again.",
    ),
    KnownMessage(
        r"bind source path does not exist|invalid mount config",
        NotReadyError,
        None,
        "the engine does not see a directory that should be mounted",
        "With a remote engine the directory must exist there; otherwise check the path.",
    ),
    KnownMessage(
        r"all predefined address pools have been fully subnetted|could not find an available.*address pool",
        NotReadyError,
        None,
        "the engine has no address range left for another network",
        "Remove unused networks: docker network prune",
    ),
    KnownMessage(
        r"permission denied|PermissionError",
        NotReadyError,
        "docker-permission-denied",
        "you may not use the Docker engine's socket",
        "Ask an administrator to add you to the group docker, then log in again.",
    ),
    KnownMessage(
        r"timed out|TimeoutError",
        TimedOutError,
        "docker-daemon-unreachable",
        "the Docker engine does not answer in time",
        "See whether it hangs: docker info; restart it if so.",
    ),
    KnownMessage(
        r"FileNotFoundError|No such file or directory|ConnectionRefused|Connection refused|Connection aborted|"
        r"Connection reset|RemoteDisconnected|BadStatusLine|IncompleteRead|Max retries|Name or service not known",
        NotReadyError,
        "docker-daemon-unreachable",
        "cannot reach a Docker engine",
        "Start it (sudo systemctl start docker), or set one up: launcher setup",
    ),
    KnownMessage(
        r"API versions below|client version .* is too (old|new)",
        NotReadyError,
        "docker-daemon-unreachable",
        "the Docker engine is too old",
        "Use an engine of 20.10 or newer.",
    ),
    KnownMessage(
        # Not what it answered to a request, but that it is none: another program, or a broken one, has the socket.
        r"while fetching server API version|Invalid response from docker daemon|JSONDecodeError",
        NotReadyError,
        "docker-daemon-unreachable",
        "what answers is not a working Docker engine",
        "See what it says: docker version; restart it, or choose another by DOCKER_HOST.",
    ),
)


def known_error(message: str, where: str = "") -> LauncherError | None:
    """The error a message of the engine stands for; `where` (an endpoint) is added to what cannot be reached."""
    for known in KNOWN_MESSAGES:
        if re.search(known.pattern, message, re.IGNORECASE | re.DOTALL):
            unreachable = known.cause_id in ("docker-daemon-unreachable", "docker-permission-denied")
            at = f" at {where}" if unreachable and where else ""
            return known.error(known.cause + at, known.next_step, cause_id=known.cause_id)
    return None


def engine_error(message: str, where: str = "") -> LauncherError:
    """As known_error, else the engine's own first line."""
    first_line = next((line.strip() for line in message.splitlines() if line.strip()), "unknown failure")
    return known_error(message, where) or LauncherError(
        f"the engine refused: {first_line}", "Run again with --debug for the details."
    )
