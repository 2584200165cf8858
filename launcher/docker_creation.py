"""Creating a container over the Docker SDK: by Docker's call, on Podman by Podman's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker
import requests

from launcher.container_config import container_config
from launcher.docker_storage import raise_for_status
from launcher.engine import ContainerPlan, EngineInfo
from launcher.errors import ConflictError
from launcher.podman_spec import CREATE, podman_spec


def create_container(client: docker.APIClient, plan: ContainerPlan, info: EngineInfo) -> str:
    """Id of the new container; raises ConflictError where there is one of that name, else what the SDK raises."""
    try:
        if info.podman:
            return _by_podman(client, podman_spec(plan, info.rootless))
        created = client.create_container_from_config(  # type: ignore[no-untyped-call]
            container_config(plan), name=plan.name
        )
        return str(created["Id"])
    except docker.errors.APIError as error:
        # Podman 4 calls it a failure of its own.
        if error.status_code != requests.codes.conflict and "is already in use by" not in str(error.explanation):
            raise
        command = "podman" if info.podman else "docker"
        raise ConflictError(
            f"a container named {plan.name} exists already", f"See it with: {command} ps -a --filter name={plan.name}"
        ) from None


def _by_podman(client: docker.APIClient, spec: Mapping[str, Any]) -> str:
    answer = client.post(f"{client.base_url}{CREATE}", json=spec, timeout=client.timeout)
    raise_for_status(answer)
    return str(answer.json()["Id"])
