"""What the engine's answers say of a container, and of itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from launcher.cdi import cdi_devices
from launcher.engine import Container, EngineInfo

# What an engine without the cgroup controller (rootless without delegation) ignores, but for a warning.
LIMITS = {"memory": "MemoryLimit", "cpus": "CpuCfsQuota", "pids": "PidsLimit"}
# Where Podman looks, which it does not say: https://github.com/cncf-tags/container-device-interface
PODMAN_CDI_DIRECTORIES = ("/etc/cdi", "/var/run/cdi")


def listed_container(row: Mapping[str, Any]) -> Container:
    """From a row of `GET /containers/json`, which has no exit code and health only as text."""
    return Container(
        id=row["Id"],
        name=row["Names"][0].lstrip("/") if row["Names"] else "",
        state=row["State"],
        health=_health_in(row["Status"]),
        image=row["ImageID"],
        labels=row["Labels"] or {},
        created=row.get("Created", 0),
    )


def inspected_container(raw: Mapping[str, Any]) -> Container:
    """From `GET /containers/NAME/json`."""
    state = raw["State"]
    return Container(
        id=raw["Id"],
        name=raw["Name"].lstrip("/"),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", "").replace("none", ""),
        exit_code=state["ExitCode"],
        oom_killed=state.get("OOMKilled", False),
        restarts=raw.get("RestartCount", 0),
        image=raw["Image"],
        labels=raw["Config"].get("Labels") or {},
        environment=dict(entry.partition("=")[::2] for entry in raw["Config"].get("Env") or ()),
        user=raw["Config"].get("User") or "",
        created=_seconds(raw.get("Created", "")),
    )


def _seconds(moment: str) -> int:
    """Since the epoch; the engine writes nanoseconds and Z, which datetime reads only from Python 3.11 on."""
    try:
        return int(datetime.fromisoformat(moment[:19] + "+00:00").timestamp())
    except ValueError:
        return 0


def _health_in(status: str) -> str:
    """The health in a listing's status text, such as "Up 3 minutes (healthy)"."""
    for word, health in (("(healthy)", "healthy"), ("(unhealthy)", "unhealthy"), ("(health: starting)", "starting")):
        if word in status:
            return health
    return ""


def engine_info(raw: Mapping[str, Any], local: bool) -> EngineInfo:
    """What `GET /info` says of the engine; `local` where its directories can be read here."""
    podman = "BuildahVersion" in raw
    directories = PODMAN_CDI_DIRECTORIES if podman else tuple(raw.get("CDISpecDirs") or ())
    discovered = tuple(d["ID"] for d in raw.get("DiscoveredDevices") or () if d.get("Source") == "cdi")
    # Engines before 28.2 name the directories but not the devices; a local one's can be read here.
    devices = discovered or (cdi_devices(directories) if local else ())
    return EngineInfo(
        version=raw.get("ServerVersion", ""),
        # Podman makes up another one each time, and lists runtimes that it would know, whether they are there or not.
        id="" if podman else raw.get("ID", ""),
        runtimes=() if podman else tuple(raw.get("Runtimes") or ()),
        cdi_directories=directories,
        cdi_devices=devices,
        memory_bytes=raw.get("MemTotal", 0),
        # Podman says so in fields of its own: https://docs.podman.io/en/latest/_static/api.html
        rootless=bool(raw.get("Rootless")) or any("rootless" in o for o in raw.get("SecurityOptions") or ()),
        podman=podman,
        processors=raw.get("NCPU", 0),
        unlimited=tuple(limit for limit, field in LIMITS.items() if raw.get(field) is False),
        local=local,
    )
