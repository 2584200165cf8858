"""States and health as engines print them, retyped."""

from __future__ import annotations

import pytest

from launcher.engine_rows import engine_info, inspected_container, listed_container
from launcher.environments import state_of

ROW = {"Id": "1", "Names": ["/gl-1-a"], "ImageID": "sha256:0", "Labels": None}
RAW = {"Id": "1", "Name": "/gl-1-a", "Image": "sha256:0", "Config": {"Labels": None}}


@pytest.mark.parametrize(
    ("state", "status", "shown"),
    [
        ("running", "Up 3 minutes (healthy)", "running"),
        ("running", "Up 3 minutes (unhealthy)", "unhealthy"),
        ("running", "Up 1 second (health: starting)", "starting"),
        ("running", "Up 2 hours", "running"),
        ("exited", "Exited (137) 2 minutes ago", "stopped"),
        ("paused", "Up 2 minutes (Paused)", "paused"),
        ("restarting", "Restarting (1) 2 seconds ago", "unhealthy"),
    ],
)
def test_a_listed_state_in_one_word(state: str, status: str, shown: str) -> None:
    assert state_of(listed_container(ROW | {"State": state, "Status": status})) == shown


def test_when_a_container_was_made_is_read_from_both() -> None:
    assert listed_container(ROW | {"State": "running", "Status": "Up", "Created": 1764043200}).created == 1764043200
    inspected = RAW | {"State": {"Status": "running", "ExitCode": 0}, "Created": "2025-11-25T04:00:00.123456789Z"}
    assert inspected_container(inspected).created == 1764043200
    assert inspected_container({**inspected, "Created": ""}).created == 0


def test_inspection_tells_what_a_listing_does_not() -> None:
    state = {"Status": "exited", "ExitCode": 137, "OOMKilled": True, "Health": {"Status": "unhealthy"}}
    found = inspected_container(RAW | {"State": state, "RestartCount": 2})
    assert (found.name, found.exit_code, found.oom_killed, found.restarts) == ("gl-1-a", 137, True, 2)
    without = inspected_container(RAW | {"State": {"Status": "running", "ExitCode": 0, "Health": {"Status": "none"}}})
    assert (without.health, without.labels) == ("", {})


def test_podman_is_known_by_its_builder_and_what_it_makes_up_is_not_believed() -> None:
    raw = {
        "ServerVersion": "4.3.1",
        "BuildahVersion": "1.28.2",
        "ID": "another-each-time",
        "Runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime"}},
        "Rootless": True,
        "MemTotal": 5,
        "NCPU": 2,
        "PidsLimit": False,
    }
    found = engine_info(raw, local=False)
    assert (found.podman, found.rootless, found.id, found.runtimes) == (True, True, "", ())
    assert (found.cdi_directories, found.unlimited) == (("/etc/cdi", "/var/run/cdi"), ("pids",))


def test_docker_is_not_podman() -> None:
    found = engine_info({"ServerVersion": "28.5.2", "ID": "x", "Runtimes": {"runc": {}}, "CDISpecDirs": None}, False)
    assert (found.podman, found.rootless, found.id, found.runtimes, found.cdi_directories) == (
        *(False, False, "x"),
        *(("runc",), ()),
    )
