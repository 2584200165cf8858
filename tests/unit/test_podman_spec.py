"""The same container, as Podman's own create call takes it: compared as whole values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from launcher.context import Context
from launcher.endpoint import Endpoint
from launcher.engine import Attachment, ContainerPlan, EngineInfo, VolumeMount
from launcher.host import Caller
from launcher.places import caller
from launcher.podman_spec import podman_spec
from launcher.progress import Progress
from launcher.spec import Mode, UpRequest

PLAN = ContainerPlan(
    name="gl-1234-work",
    image="gpu-launcher/ssh:cu128",
    command=("serve",),
    uid=1234,
    gid=1235,
    groups=(44,),
    environment={"A": "1"},
    labels={"gpu-launcher.name": "work"},
    binds=(("/home/ann/work", "/workspace", False), ("/d", "/mnt/d", True)),
    volumes=(VolumeMount("gl-1234-work-home", "/home/user"),),
    network="gl-1234-work",
    container_port=2222,
    host_port=2223,
    shm_bytes=64 << 20,
    pids=4096,
)


def test_podman_gets_exactly_this() -> None:
    assert podman_spec(PLAN, rootless=False) == {
        "name": "gl-1234-work",
        "image": "gpu-launcher/ssh:cu128",
        "command": ["serve"],
        "user": "1234:1235",
        "groups": ["44"],
        "env": {"A": "1"},
        "labels": {"gpu-launcher.name": "work"},
        "terminal": False,
        "hostname": "work",
        "init": True,
        "read_only_filesystem": True,
        "cap_drop": ["ALL"],
        "cap_add": [],
        "no_new_privileges": True,
        "mounts": [
            {
                "type": "bind",
                "source": "/home/ann/work",
                "destination": "/workspace",
                "options": ["rbind", "rprivate", "rw"],
            },
            {"type": "bind", "source": "/d", "destination": "/mnt/d", "options": ["rbind", "rprivate", "ro"]},
        ],
        "volumes": [{"Name": "gl-1234-work-home", "Dest": "/home/user"}, {"Name": "", "Dest": "/tmp"}],
        "image_volume_mode": "anonymous",
        "netns": {"nsmode": "bridge"},
        "networks": {"gl-1234-work": {}},
        "portmappings": [{"host_ip": "127.0.0.1", "host_port": 2223, "container_port": 2222, "protocol": "tcp"}],
        "shm_size": 64 << 20,
        "resource_limits": {"pids": {"limit": 4096}},
        "r_limits": [
            {"type": "memlock", "soft": (1 << 64) - 1, "hard": (1 << 64) - 1},
            {"type": "stack", "soft": 64 << 20, "hard": 64 << 20},
        ],
        "log_configuration": {"driver": "k8s-file", "size": 10_000_000},
    }


@pytest.mark.parametrize(
    ("change", "key", "expected"),
    [
        ({"container_port": None, "host_port": None}, "portmappings", []),
        ({"unlimited_memlock": False}, "r_limits", []),
        ({"capabilities": ("SETUID",)}, "cap_add", ["SETUID"]),
        ({"terminal": True}, "terminal", True),
        ({"attachment": Attachment("cdi", ("nvidia.com/gpu=0",))}, "devices", [{"path": "nvidia.com/gpu=0"}]),
        (
            {"memory_bytes": 1 << 30, "nano_cpus": 1_500_000_000},
            "resource_limits",
            {
                "pids": {"limit": 4096},
                "memory": {"limit": 1 << 30, "swap": 1 << 30},
                "cpu": {"quota": 150_000, "period": 100_000},
            },
        ),
    ],
)
def test_what_was_asked_for_is_in_it(change: dict[str, object], key: str, expected: object) -> None:
    assert podman_spec(replace(PLAN, **change), rootless=False)[key] == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rootless", "uid", "expected"),
    [
        (True, 1234, {"nsmode": "keep-id", "value": "uid=1234,gid=1235"}),
        (True, 0, None),  # the engine's user is uid 0 inside without being asked
        (False, 1234, None),
    ],
)
def test_without_root_the_engines_user_has_the_callers_number_inside(
    rootless: bool, uid: int, expected: dict[str, str] | None
) -> None:
    assert podman_spec(replace(PLAN, uid=uid), rootless).get("userns") == expected


@pytest.mark.parametrize(
    ("info", "expected", "said"),
    [
        (EngineInfo("4.3.1", podman=True, rootless=True), (1234, 1235, ()), False),
        (EngineInfo("4.3.1", podman=True), (1234, 1235, (44,)), False),
        (EngineInfo("28", rootless=True), (0, 0, ()), True),
        (EngineInfo("28"), (1234, 1235, (44,)), False),
    ],
)
def test_who_the_caller_is_inside(
    monkeypatch: pytest.MonkeyPatch, info: EngineInfo, expected: tuple[object, ...], said: bool
) -> None:
    monkeypatch.setattr("launcher.places.identify_caller", lambda *_: Caller(1234, 1235, (44,), Path("/home/ann")))
    context = Context(environ={}, progress=Progress())
    context.__dict__ |= {"endpoint": Endpoint("unix:///x", "test"), "remote": None}
    found, why = caller(context, UpRequest("work", Mode.SSH, Path("/work")), info)
    assert ((found.uid, found.gid, found.groups), why is not None) == (expected, said)
