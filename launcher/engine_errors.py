"""What to tell the user for a message of an engine: its cause by envcheck's catalogue, the rest by the rows here.

Messages vary between engine versions, so each pattern matches what stayed the same from 20.10 to 28.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from envcheck.explain import explain_text
from launcher import podman_socket
from launcher.errors import ConflictError, LauncherError, NotReadyError, RlimitRefusedError, TimedOutError

UNREACHABLE = "docker-daemon-unreachable"


@dataclass(frozen=True, slots=True)
class Said:
    """How the launcher says a cause: the error, its text, and the next step that the launcher offers."""

    error: type[LauncherError]
    cause: str
    next_step: str
    cause_id: str | None = None


SETUP = "Run: launcher setup   (it installs and configures the NVIDIA Container Toolkit)"
JOIN_GROUP = "Ask an administrator to add you to the group docker, then log in again."
START = "Start it (sudo systemctl start docker), or set one up: launcher setup"
# Where envcheck's catalogue, which does not know that a launcher asked, would say less. By cause id.
CAUSES = {
    "container-no-gpu-runtime": Said(
        NotReadyError, "the engine cannot pass GPUs through: no NVIDIA runtime and no CDI spec", SETUP
    ),
    "container-unknown-runtime": Said(NotReadyError, "the engine has no runtime of that name", SETUP),
    "container-cdi-legacy-conflict": Said(
        NotReadyError, "the NVIDIA Container Toolkit is in CDI mode and refuses --gpus", SETUP
    ),
    "container-cdi-unresolvable": Said(
        NotReadyError,
        "no CDI spec names the requested GPU, or the spec is stale",
        "Regenerate it: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
    ),
    "container-requirement-unsatisfied": Said(
        NotReadyError,
        "the image's CUDA requirement refuses this driver",
        "Install a newer NVIDIA driver, then run: envcheck",
    ),
    "driver-library-mismatch": Said(
        NotReadyError,
        "the NVIDIA driver was updated but the old kernel module is still loaded",
        "Reboot the machine.",
    ),
    "docker-port-in-use": Said(
        ConflictError, "the port is in use by another program", "Choose another with --port N, or leave --port out."
    ),
    "docker-permission-denied": Said(
        NotReadyError,
        "you may not use the Docker engine's socket",
        JOIN_GROUP,
    ),
}
# Messages that show no fault of the environment, and the different ways in which an engine cannot be reached.
MESSAGES = (
    (
        r"setting rlimit",
        Said(
            RlimitRefusedError,
            "the engine may not raise the limit of locked memory",
            "Run the engine as root on the host itself.",
        ),
    ),
    (
        r"cannot start a paused container|is paused, unpause",
        Said(
            ConflictError,
            "somebody has paused the container",
            "Let it go on: docker unpause CONTAINER (docker ps names it), then run this again.",
        ),
    ),
    (
        r"container-init binary not found",
        Said(
            NotReadyError,
            "Podman's init program is not installed on the engine's machine",
            "Install it there: sudo apt-get install catatonit",
        ),
    ),
    (
        # The first two are Docker's, the last is Podman's.
        r"bind source path does not exist|invalid mount config|statfs \S+: no such file",
        Said(
            NotReadyError,
            "the engine does not see a directory that should be mounted",
            "With a remote engine it must exist there, or copy the project: launcher up --sync. Else check the path.",
        ),
    ),
    (
        r"all predefined address pools have been fully subnetted|could not find an available.*address pool",
        Said(
            NotReadyError,
            "the engine has no address range left for another network",
            "Remove unused networks: docker network prune",
        ),
    ),
    (
        r"certificate verify failed|CERTIFICATE_VERIFY_FAILED|SSLError|HTTP request to an HTTPS server|"
        r"alert (bad|unknown|certificate)|tlsv1[23]? alert",
        Said(
            NotReadyError,
            "the engine's TLS certificate, or ours, is not accepted",
            "Check ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH or the Docker context; set DOCKER_TLS_VERIFY=1.",
            UNREACHABLE,
        ),
    ),
    (
        r"timed out|TimeoutError",
        Said(
            TimedOutError,
            "the Docker engine does not answer in time",
            "See whether it hangs: docker info; restart it if so.",
            UNREACHABLE,
        ),
    ),
    (
        r"FileNotFoundError|No such file or directory|ConnectionRefused|Connection refused|Connection aborted|"
        r"Connection reset|RemoteDisconnected|BadStatusLine|IncompleteRead|Max retries|Name or service not known",
        Said(
            NotReadyError,
            "cannot reach a Docker engine",
            START,
            UNREACHABLE,
        ),
    ),
    (
        r"API versions below|client version .* is too (old|new)",
        Said(NotReadyError, "the Docker engine is too old", "Use an engine of 20.10 or newer.", UNREACHABLE),
    ),
    (
        # Not what it answered to a request, but that it is none: another program, or a broken one, has the socket.
        r"while fetching server API version|Invalid response from docker daemon|JSONDecodeError",
        Said(
            NotReadyError,
            "what answers is not a working Docker engine",
            "See what it says: docker version; restart it, or choose another by DOCKER_HOST.",
            UNREACHABLE,
        ),
    ),
)


def known_error(message: str, where: str = "", answered: bool = False) -> LauncherError | None:
    """The error a message of the engine stands for; `where` (an endpoint) is added to what cannot be reached.

    An engine that `answered` was reached, whatever file its answer misses.
    """
    match = next(iter(explain_text(message)), None)
    if match is not None and match.cause != UNREACHABLE:
        why = match.why[:1].lower() + match.why[1:].rstrip(".")
        return _error(CAUSES.get(match.cause) or Said(NotReadyError, why, match.fix[0]), match.cause, where)
    for pattern, said in MESSAGES:
        unreachable = said.cause_id == UNREACHABLE
        if not (answered and unreachable) and re.search(pattern, message, re.IGNORECASE | re.DOTALL):
            return _error(said, said.cause_id, where)
    return None


def _error(said: Said, cause_id: str | None, where: str) -> LauncherError:
    at = f" at {where}" if where and cause_id in (UNREACHABLE, "docker-permission-denied") else ""
    cause, next_step = said.cause, said.next_step
    if said.next_step is START and where and not where.startswith("unix://"):
        next_step = "See whether it runs and can be reached from here, or use another: unset DOCKER_HOST DOCKER_CONTEXT"
    elif podman_socket.is_podman_socket(where):
        cause = cause.replace("Docker", "Podman")
        next_step = {START: podman_socket.START, JOIN_GROUP: f"Use your own: {podman_socket.USE_OWN}"}.get(
            next_step, next_step.replace("docker ", "podman ")
        )
    return said.error(cause + at, next_step, cause_id=cause_id)


def engine_error(message: str, where: str = "", answered: bool = False) -> LauncherError:
    """As known_error, else the engine's own first line."""
    first_line = next((line.strip() for line in message.splitlines() if line.strip()), "unknown failure")
    return known_error(message, where, answered) or LauncherError(
        f"the engine refused: {first_line}", "Run again with --debug for the details."
    )
