"""Pure: a ContainerPlan as the engine's create call takes it, whole values that tests compare."""

from __future__ import annotations

from typing import Any

from launcher.engine import Attachment, ContainerPlan


def container_config(plan: ContainerPlan) -> dict[str, Any]:
    """Everything the engine's create call takes, from a plan."""
    ports = [f"{plan.container_port}/tcp"] if plan.container_port else []
    return {
        "Image": plan.image,
        "Cmd": list(plan.command),
        "User": f"{plan.uid}:{plan.gid}",
        "Env": [f"{key}={value}" for key, value in plan.environment.items()],
        "Labels": dict(plan.labels),
        "Tty": plan.terminal,
        "Hostname": plan.labels.get("gpu-launcher.name", plan.name)[:63],
        "ExposedPorts": {port: {} for port in ports},
        "HostConfig": host_config(plan),
        "NetworkingConfig": {"EndpointsConfig": {plan.network: {}}},
    }


def host_config(plan: ContainerPlan) -> dict[str, Any]:
    """The HostConfig part: no privileges, no capabilities beyond the plan's, loopback ports only."""
    mounts = [_mount("bind", source, target, read_only) for source, target, read_only in plan.binds]
    mounts += [_mount("volume", mount.volume, mount.container) for mount in plan.volumes]
    config: dict[str, Any] = {
        "Mounts": mounts,
        "NetworkMode": plan.network,
        "PortBindings": _port_bindings(plan),
        "Init": True,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "CapAdd": list(plan.capabilities),
        "SecurityOpt": ["no-new-privileges"],
        "GroupAdd": [str(gid) for gid in plan.groups],
        "PidsLimit": plan.pids,
        "ShmSize": plan.shm_bytes,
        "Ulimits": _ulimits(plan),
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
    }
    return config | _limits(plan) | (_gpu_config(plan.attachment) if plan.attachment else {})


def _mount(kind: str, source: str, target: str, read_only: bool = False) -> dict[str, Any]:
    return {"Type": kind, "Source": source, "Target": target, "ReadOnly": read_only}


def _limits(plan: ContainerPlan) -> dict[str, int]:
    """Swap counts towards the memory limit, or a run that outgrows it would crawl instead of failing."""
    limits = {"Memory": plan.memory_bytes, "MemorySwap": plan.memory_bytes, "NanoCpus": plan.nano_cpus}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _ulimits(plan: ContainerPlan) -> list[dict[str, Any]]:
    """Pinned memory and RDMA need memlock: https://docs.nvidia.com/deeplearning/frameworks/user-guide/index.html"""
    stack = {"Name": "stack", "Soft": 64 << 20, "Hard": 64 << 20}
    return [{"Name": "memlock", "Soft": -1, "Hard": -1}, stack] if plan.unlimited_memlock else []


def _port_bindings(plan: ContainerPlan) -> dict[str, list[dict[str, str]]]:
    if plan.container_port is None:
        return {}
    return {f"{plan.container_port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(plan.host_port)}]}


def _gpu_config(attachment: Attachment) -> dict[str, Any]:
    if attachment.kind == "cdi":
        return {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": list(attachment.devices)}]}
    if attachment.kind == "runtime":
        return {"Runtime": "nvidia"}
    every = attachment.devices == ("all",)
    request: dict[str, Any] = {"Driver": "nvidia", "Capabilities": [["gpu", "compute", "utility"]]}
    return {"DeviceRequests": [request | ({"Count": -1} if every else {"DeviceIDs": list(attachment.devices)})]}
