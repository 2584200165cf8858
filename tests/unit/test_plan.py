"""From a request to the container's every setting: compared as whole values."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from launcher import labels
from launcher.container_config import container_config
from launcher.engine import Attachment, ContainerPlan
from launcher.host import Caller
from launcher.plan import Device, ImageChoice, Machine, plan_container, plan_one_off, request_json
from launcher.settings.keys import BY_NAME
from launcher.settings.setting import Origin, Setting
from launcher.spec import BindMount, GpuRequest, Mode, UpRequest

CALLER = Caller(1234, 1235, (44, 100), Path("/home/ann"))
MACHINE = Machine(
    owner=1234, memory_bytes=64 << 30, processors=8, environ={"https_proxy": "http://proxy:3128", "SECRET": "x"}
)
IMAGE = ImageChoice("gpu-launcher/jupyter:cu128", "digest")
REQUEST = UpRequest(
    "work-jupyter", Mode.JUPYTER, Path("/home/ann/work"), mounts=(BindMount(Path("/d"), "/mnt/d", True),)
)
CPU = Device(False, "no NVIDIA card found on this machine")
GPU = Device(True, "card", ("GPU-a",), Attachment("device-request", ("GPU-a",)))


def plan(
    request: UpRequest = REQUEST,
    caller: Caller = CALLER,
    machine: Machine = MACHINE,
    device: Device = CPU,
    port: int = 8888,
) -> ContainerPlan:
    return plan_container(request, IMAGE, caller, machine, device, port)


def test_the_engine_gets_exactly_this() -> None:
    config = container_config(plan())
    host = config.pop("HostConfig")
    found = config.pop("Labels")
    assert found[labels.NAME] == "work-jupyter" and found[labels.OWNER] == "1234" and found[labels.PORT] == "8888"
    assert config == {
        "Image": "gpu-launcher/jupyter:cu128",
        "Cmd": ["serve"],
        "User": "1234:1235",
        "Env": ["https_proxy=http://proxy:3128", "NVIDIA_VISIBLE_DEVICES=void"],
        "Tty": False,
        "Hostname": "work-jupyter",
        "ExposedPorts": {"8888/tcp": {}},
        "NetworkingConfig": {"EndpointsConfig": {"gl-1234-work-jupyter": {}}},
    }
    mounts = [(m["Type"], m["Source"], m["Target"], m["ReadOnly"]) for m in host.pop("Mounts")]
    assert mounts == [
        ("bind", "/home/ann/work", "/workspace", False),
        ("bind", "/d", "/mnt/d", True),
        ("volume", "gl-1234-work-jupyter-home", "/home/user", False),
        ("volume", "gl-1234-work-jupyter-run", "/run/gpu-launcher", False),
        ("volume", "gl-1234-cache-1234", "/cache", False),
        ("volume", "gl-1234-data-1234", "/data", False),
    ]
    ulimits = {u["Name"]: (u["Soft"], u["Hard"]) for u in host.pop("Ulimits")}
    assert ulimits == {"memlock": (-1, -1), "stack": (64 << 20, 64 << 20)}
    assert host.pop("LogConfig") == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    assert host == {
        "NetworkMode": "gl-1234-work-jupyter",
        "PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8888"}]},
        "Init": True,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "CapAdd": [],
        "SecurityOpt": ["no-new-privileges"],
        "GroupAdd": ["44", "100"],
        "PidsLimit": 4096,
        "ShmSize": 32 << 30,
    }


def test_gpus_are_requested_by_the_chosen_way() -> None:
    host = container_config(plan(device=GPU))["HostConfig"]
    assert host["DeviceRequests"] == [
        {"Driver": "nvidia", "Capabilities": [["gpu", "compute", "utility"]], "DeviceIDs": ["GPU-a"]}
    ]
    cdi = replace(GPU, attachment=Attachment("cdi", ("nvidia.com/gpu=0",)))
    assert container_config(plan(device=cdi))["HostConfig"]["DeviceRequests"] == [
        {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}
    ]
    runtime = container_config(plan(device=replace(GPU, attachment=Attachment("runtime", ("GPU-a",)))))
    assert runtime["HostConfig"]["Runtime"] == "nvidia"
    assert "NVIDIA_VISIBLE_DEVICES=GPU-a" in runtime["Env"]


def test_only_root_over_ssh_gets_capabilities_and_just_three() -> None:
    root = Caller(0, 0, (), Path("/root"))
    ssh = replace(REQUEST, mode=Mode.SSH)
    assert plan(ssh, root).capabilities == ("SETGID", "SETUID", "SYS_CHROOT")
    assert plan(REQUEST, root).capabilities == ()
    assert plan(ssh).capabilities == ()


def test_no_secret_and_no_stray_variable_reaches_the_container() -> None:
    config = container_config(plan())
    assert "SECRET" not in str(config)
    assert "token" not in str(config).lower()


def test_a_users_variable_cannot_widen_the_gpu_choice() -> None:
    request = replace(REQUEST, variables=(("NVIDIA_VISIBLE_DEVICES", "all"),))
    assert plan(request).environment["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_limits_are_set_exactly_and_only_when_asked_for() -> None:
    asked = replace(REQUEST, memory_bytes=3 << 29, cpus=0.5, shm_bytes=64 << 20, pids=99)
    host = container_config(plan(asked))["HostConfig"]
    names = ("Memory", "MemorySwap", "NanoCpus", "ShmSize", "PidsLimit")
    assert [host[name] for name in names] == [3 << 29, 3 << 29, 500_000_000, 64 << 20, 99]
    assert not {"Memory", "MemorySwap", "NanoCpus"} & set(container_config(plan())["HostConfig"])


def test_shared_memory_is_half_of_what_the_environment_may_use() -> None:
    assert plan(replace(REQUEST, memory_bytes=4 << 30)).shm_bytes == 2 << 30
    assert plan(replace(REQUEST, memory_bytes=1 << 50)).shm_bytes == 32 << 30


def test_the_settings_are_recorded_without_the_variables_values() -> None:
    memory = Setting(BY_NAME["memory"], "", "16g", Origin.FLAG, "--memory", file_text="8g")
    variable = Setting(BY_NAME["env"], "TOKEN", "s3cret", Origin.PROJECT, "launcher.toml")
    found = plan(replace(REQUEST, settings=(memory, variable), variables=(("TOKEN", "s3cret"),))).labels
    assert json.loads(found[labels.SETTINGS]) == {
        "memory": {"origin": "flag", "value": "16g", "file": "8g"},
        "env:TOKEN": {"origin": "project file"},
    }
    assert "s3cret" not in str(found)


def test_environments_of_one_user_share_cache_and_data_only() -> None:
    one = {mount.container: mount.volume for mount in plan().volumes}
    two = {mount.container: mount.volume for mount in plan(replace(REQUEST, name="other")).volumes}
    assert {path for path in one if one[path] == two[path]} == {"/cache", "/data"}


def test_one_off_has_no_port_and_is_not_listed_as_an_environment() -> None:
    once = plan_one_off(plan(device=GPU), ("python", "-m", "cifar10"), terminal=True)
    config = container_config(once)
    assert config["HostConfig"]["PortBindings"] == {} and config["ExposedPorts"] == {} and config["Tty"] is True
    assert config["HostConfig"]["DeviceRequests"]
    assert config["Labels"][labels.ROLE] == labels.ROLE_TRAIN


def test_the_request_recorded_for_envcheck() -> None:
    expected = '{"schema_version": 1, "device": "gpu", "gpus": ["GPU-a"], "reason": "card", "image": "jupyter:1"}'
    assert request_json(GPU, "jupyter:1") == expected
    assert GpuRequest("auto") == REQUEST.gpus
