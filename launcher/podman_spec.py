"""Pure: a ContainerPlan as Podman's own create call takes it: https://docs.podman.io/en/latest/_static/api.html

Docker's call on Podman's socket has no user namespaces, and before Podman 5.4 ignores the CDI devices it is asked for.
"""

from __future__ import annotations

from typing import Any

from launcher.engine import ContainerPlan

# The version of the interface, not of Podman; every Podman since 4.0 accepts it.
CREATE = "/v4.0.0/libpod/containers/create"
UNLIMITED = (1 << 64) - 1
CPU_PERIOD = 100_000  # microseconds, the kernel's default
LOG_BYTES = 10_000_000
# Said again, though the image says it: below a read-only system Podman puts memory there otherwise.
TEMPORARY = "/tmp"  # noqa: S108 (the container's)


def podman_spec(plan: ContainerPlan, rootless: bool) -> dict[str, Any]:
    """The same container that container_config describes to Docker, GPUs as CDI devices.

    On a rootless engine the plan's uid and gid are those of the engine's user outside.
    """
    spec: dict[str, Any] = {
        "name": plan.name,
        "image": plan.image,
        "command": list(plan.command),
        "user": f"{plan.uid}:{plan.gid}",
        "groups": [str(gid) for gid in plan.groups],
        "env": dict(plan.environment),
        "labels": dict(plan.labels),
        "terminal": plan.terminal,
        "hostname": plan.labels.get("gpu-launcher.name", plan.name)[:63],
        "init": True,
        "read_only_filesystem": True,
        "cap_drop": ["ALL"],
        "cap_add": list(plan.capabilities),
        "no_new_privileges": True,
        "mounts": [_bind(*bind) for bind in plan.binds],
        "volumes": _volumes(plan),
        "image_volume_mode": "anonymous",
        "netns": {"nsmode": "bridge"},
        "networks": {plan.network: {}},
        "portmappings": _ports(plan),
        "shm_size": plan.shm_bytes,
        "resource_limits": _limits(plan),
        "r_limits": _rlimits(plan),
        "log_configuration": {"driver": "k8s-file", "size": LOG_BYTES},
    }
    if plan.attachment:
        spec["devices"] = [{"path": name} for name in plan.attachment.devices]
    if rootless and plan.uid:
        spec["userns"] = {"nsmode": "keep-id", "value": f"uid={plan.uid},gid={plan.gid}"}
    return spec


def _bind(source: str, target: str, read_only: bool) -> dict[str, Any]:
    options = ["rbind", "rprivate", "ro" if read_only else "rw"]
    return {"type": "bind", "source": source, "destination": target, "options": options}


def _volumes(plan: ContainerPlan) -> list[dict[str, str]]:
    return [{"Name": v.volume, "Dest": v.container} for v in plan.volumes] + [{"Name": "", "Dest": TEMPORARY}]


def _ports(plan: ContainerPlan) -> list[dict[str, Any]]:
    if plan.container_port is None:
        return []
    port = {"host_ip": "127.0.0.1", "host_port": plan.host_port, "container_port": plan.container_port}
    return [{**port, "protocol": "tcp"}]


def _limits(plan: ContainerPlan) -> dict[str, Any]:
    limits: dict[str, Any] = {"pids": {"limit": plan.pids}}
    if plan.memory_bytes is not None:
        limits["memory"] = {"limit": plan.memory_bytes, "swap": plan.memory_bytes}
    if plan.nano_cpus is not None:
        limits["cpu"] = {"quota": plan.nano_cpus * CPU_PERIOD // 10**9, "period": CPU_PERIOD}
    return limits


def _rlimits(plan: ContainerPlan) -> list[dict[str, Any]]:
    if not plan.unlimited_memlock:
        return []
    stack = {"type": "stack", "soft": 64 << 20, "hard": 64 << 20}
    return [{"type": "memlock", "soft": UNLIMITED, "hard": UNLIMITED}, stack]
