"""Pure: what the engine's listing and inspection say of a container, as a Container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launcher.engine import Container


def listed_container(row: Mapping[str, Any]) -> Container:
    """From a row of `GET /containers/json`, which has no exit code and health only as text."""
    return Container(
        id=row["Id"],
        name=row["Names"][0].lstrip("/") if row["Names"] else "",
        state=row["State"],
        health=_health_in(row["Status"]),
        image=row["ImageID"],
        labels=row["Labels"] or {},
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
        user=raw["Config"].get("User") or "",
        environment=dict(entry.partition("=")[::2] for entry in raw["Config"].get("Env") or ()),
    )


def _health_in(status: str) -> str:
    """The health in a listing's status text, such as "Up 3 minutes (healthy)"."""
    for word, health in (("(healthy)", "healthy"), ("(unhealthy)", "unhealthy"), ("(health: starting)", "starting")):
        if word in status:
            return health
    return ""
