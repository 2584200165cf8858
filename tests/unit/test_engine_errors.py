"""True messages of engines, retyped, and the cause each stands for."""

from __future__ import annotations

import pytest

from launcher.engine_errors import engine_error

MESSAGES = [
    ('could not select device driver "" with capabilities: [[gpu]]', 3, "container-no-gpu-runtime"),
    (
        'could not select device driver "nvidia" with capabilities: [[gpu compute utility]]',
        3,
        "container-no-gpu-runtime",
    ),
    ("failed to discover GPU vendor from CDI: no known GPU vendor found", 3, "container-no-gpu-runtime"),
    ("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=7", 3, "container-cdi-unresolvable"),
    ("unknown or invalid runtime name: nvidia", 3, "container-unknown-runtime"),
    (
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver",
        3,
        "container-requirement-unsatisfied",
    ),
    (
        "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: no such file",
        3,
        "container-driver-libs-missing",
    ),
    (
        "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch",
        3,
        "driver-library-mismatch",
    ),
    (
        "invoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not supported",
        3,
        "container-cdi-legacy-conflict",
    ),
    ("Bind for 127.0.0.1:8888 failed: port is already allocated", 4, "docker-port-in-use"),
    (
        "Error starting userland proxy: listen tcp4 127.0.0.1:8888: bind: address already in use",
        4,
        "docker-port-in-use",
    ),
    ("write /var/lib/docker/tmp/x: no space left on device", 3, "docker-disk-full"),
    (
        "DockerException: Error while fetching: ('Connection aborted.', PermissionError(13, 'Permission denied'))",
        3,
        "docker-permission-denied",
    ),
    (
        "DockerException: ('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))",
        3,
        "docker-daemon-unreachable",
    ),
    (
        "ReadTimeout: UnixHTTPConnectionPool(host='localhost', port=None): Read timed out. (read timeout=30)",
        5,
        "docker-daemon-unreachable",
    ),
    ("toomanyrequests: You have reached your pull rate limit", 3, "docker-rate-limited"),
]


@pytest.mark.parametrize(("message", "code", "cause_id"), MESSAGES)
def test_known_message(message: str, code: int, cause_id: str) -> None:
    error = engine_error(message, "unix:///s")
    assert (error.code, error.cause_id) == (code, cause_id)
    assert "\n" not in error.cause + error.next_step


def test_unknown_message_is_passed_on_in_one_line() -> None:
    error = engine_error("something new\nand more")
    assert error.cause == "the engine refused: something new" and error.code == 1


PODMAN = "unix:///run/user/7/podman/podman.sock"


@pytest.mark.parametrize(
    ("message", "cause", "next_step"),
    [
        ("FileNotFoundError(2, 'No such file or directory')", "cannot reach a Podman engine", "start podman.socket"),
        (
            "DockerException: ('Connection aborted.', PermissionError(13, 'Permission denied'))",
            "you may not use the Podman engine's",
            "enable --now podman.socket",
        ),
        ("Read timed out. (read timeout=30)", "the Podman engine does not answer", "podman info"),
        ("cannot start a paused container", "somebody has paused", "podman unpause CONTAINER (podman ps"),
        ("could not find an available, non-overlapping IPv4 address pool", "no address range", "podman network prune"),
        ("listen tcp4 127.0.0.1:8888: bind: address already in use", "the port is in use", "--port N"),
    ],
)
def test_on_podmans_socket_the_commands_are_podmans(message: str, cause: str, next_step: str) -> None:
    error = engine_error(message, PODMAN)
    assert cause in error.cause and next_step in error.next_step
    assert "ocker" not in error.cause + error.next_step.replace("DOCKER_HOST", "")
