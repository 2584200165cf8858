"""Where nothing may be installed: the cause and the next step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from launcher.errors import NotReadyError, TimedOutError
from launcher.setup.detect import SetupFacts
from launcher.setup.probe import EngineState
from launcher.setup.steps import plan_setup
from tests.unit.setup_machines import BARE, RUNNING


def blocked(facts: SetupFacts) -> NotReadyError | TimedOutError:
    plan = plan_setup(facts)
    assert isinstance(plan.blocked, NotReadyError | TimedOutError)
    assert plan.steps == (), "a run that must fail does so before anything is downloaded"
    return plan.blocked


PODMAN = "unix:///run/podman/podman.sock"


@pytest.mark.parametrize(
    ("change", "cause", "next_step"),
    [
        ({"engine": EngineState.REFUSES}, "group docker", "administrator"),
        (
            {"engine": EngineState.REFUSES, "engine_url": PODMAN},
            "another user",
            "systemctl --user enable --now podman.sock",
        ),
        ({"engine_source": "DOCKER_HOST", "engine_url": PODMAN}, "DOCKER_HOST names", "start podman.socket"),
        ({"engine_source": "DOCKER_HOST", "engine_url": "tcp://gone:2375"}, "DOCKER_HOST names", "unset DOCKER_HOST"),
        ({"engine_source": "context lab", "engine_url": "unix:///x"}, "context lab names", "context use default"),
        ({"engine_packages": ("podman",), "engine_programs": ("/usr/bin/podman",)}, "Podman", "podman.socket"),
        ({"other_sockets": ("/run/user/7/docker.sock",)}, "/run/user/7/docker.sock", "DOCKER_HOST=unix:///run"),
        ({"engine": EngineState.DEAD}, "nothing answers there", "remove the file"),
        ({"distribution": "fedora", "version": "41", "apt": False}, "fedora 41", "Install Docker Engine"),
        ({"is_root": False, "sudo": False}, "sudo is not installed", "administrator"),
        ({"free_bytes": 24_000_000_000}, "24.0 GB are free at /var/lib/docker", "data-root"),
    ],
    ids=[
        "refuses",
        "podman-refuses",
        "podman-off",
        "docker-host",
        "context",
        "podman",
        "rootless",
        "dead-socket",
        "fedora",
        "no-rights",
        "disk",
    ],
)
def test_nothing_is_installed_where(change: dict[str, object], cause: str, next_step: str) -> None:
    error = blocked(replace(BARE, **change))  # type: ignore[arg-type]
    assert error.code == 3
    assert cause in error.cause and next_step in error.next_step


def test_a_refusing_socket_never_gets_sudo_as_advice() -> None:
    error = blocked(replace(BARE, engine=EngineState.REFUSES, is_root=False, sudo=True))
    assert error.cause_id == "docker-permission-denied"
    assert "sudo" not in error.cause + error.next_step


def test_hanging_engine_is_a_time_out() -> None:
    assert blocked(replace(BARE, engine=EngineState.HANGS)).code == 5


@pytest.mark.parametrize("change", [{"image": True}, {"engine_url": "ssh://lab", "engine": EngineState.UNKNOWN}])
def test_disk_counts_only_where_the_image_has_to_be_made(change: dict[str, object]) -> None:
    facts = replace(BARE, **RUNNING, free_bytes=1)
    assert plan_setup(replace(facts, **change)).blocked is None  # type: ignore[arg-type]
