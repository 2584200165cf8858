"""Pure: from the inspection of a container to the request that creates the same one again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launcher.engine import Image


def copied_config(raw: Mapping[str, Any], image: Image | None) -> dict[str, Any]:
    """Everything the engine's create call takes, from `GET /containers/NAME/json`.

    Variables, labels, mounts, port, limits and GPUs are the container's own, whatever the launcher would choose today,
    and so is the image: `image` is what its name means by now, None where nothing bears it any more.
    """
    config = dict(raw["Config"])
    if image is None or image.id != raw["Image"]:
        config["Image"] = raw["Image"]
    # Of a network only its name: addresses and aliases are the old container's.
    networks: dict[str, Any] = {name: {} for name in raw["NetworkSettings"].get("Networks") or {}}
    return {**config, "HostConfig": dict(raw["HostConfig"]), "NetworkingConfig": {"EndpointsConfig": networks}}
