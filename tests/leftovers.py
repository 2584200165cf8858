"""pytest hooks: after the last test the engine holds what it held before the first, whoever ran the tests between."""

from __future__ import annotations

import importlib.util
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import docker

BEFORE = pytest.StashKey[set[str]]()
ANONYMOUS = re.compile("[0-9a-f]{64}")
LEFT = pytest.StashKey[list[str]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    client = _client(session)
    if client is not None:
        session.config.stash[BEFORE] = _labelled(client)
        client.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    client = _client(session) if BEFORE in session.config.stash else None
    if client is None:
        return
    before = session.config.stash[BEFORE]
    _remove_shared_volumes(client, before)
    left = sorted(_labelled(client) - before)
    client.close()
    if left:
        session.config.stash[LEFT] = left
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for thing in terminalreporter.config.stash.get(LEFT, []):
        terminalreporter.write_line(f"ERROR the tests left on the engine: {thing}", red=True)


def _client(session: pytest.Session) -> docker.DockerClient | None:
    """None in a worker, where launcher and SDK are not installed (the image), and where no engine answers."""
    if hasattr(session.config, "workerinput") or not all(map(importlib.util.find_spec, ("launcher", "docker"))):
        return None
    from launcher.endpoint import resolve_endpoint
    from launcher.setup.probe import EngineState, ask_engine

    url = resolve_endpoint(os.environ).url
    if ask_engine(url).state is not EngineState.ANSWERS:
        return None
    import docker

    return docker.DockerClient(base_url=url)


def _labelled(client: docker.DockerClient) -> set[str]:
    """Containers, networks and volumes that carry a label of the launcher, and anonymous volumes that nothing uses."""
    containers: list[Any] = client.containers.list(all=True, ignore_removed=True)
    found = {f"container {c.name}" for c in containers if _is_ours(c.labels)}
    found |= {f"network {n.name}" for n in client.networks.list() if _is_ours(n.attrs.get("Labels") or {})}
    found |= {f"volume {v.name}" for v in client.volumes.list() if _is_ours(v.attrs.get("Labels") or {})}
    # The image's VOLUME lines make three a container, with no label; they are lost with the container's name.
    unused = client.volumes.list(filters={"dangling": True})
    return found | {f"anonymous volume {v.name}" for v in unused if ANONYMOUS.fullmatch(v.name)}


def _is_ours(labels: dict[str, str]) -> bool:
    # Built images hand their labels down to every container; these two only a launcher sets.
    return "gpu-launcher.owner" in labels or "gpu-launcher.name" in labels


def _remove_shared_volumes(client: docker.DockerClient, before: set[str]) -> None:
    """A user's data and cache volumes outlive environments on purpose; those the tests brought about go here."""
    import docker

    from launcher import labels

    for role in (labels.ROLE_CACHE, labels.ROLE_DATA):
        for volume in client.volumes.list(filters={"label": f"{labels.ROLE}={role}"}):
            if f"volume {volume.name}" not in before:
                with suppress(docker.errors.APIError):
                    volume.remove()
