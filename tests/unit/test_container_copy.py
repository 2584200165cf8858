"""The request that makes a container again, from its inspection (shortened from what engine 28 prints)."""

from __future__ import annotations

from typing import Any

import pytest

from launcher.container_copy import copied_config
from launcher.engine import Image

RAW: dict[str, Any] = {
    "Id": "0123",
    "Image": "sha256:1",
    "Config": {"Image": "gpu-launcher/jupyter:cu128", "Env": ["A=1"], "Labels": {"gpu-launcher.port": "8888"}},
    "HostConfig": {
        "Memory": 1 << 30,
        "Mounts": [{"Type": "bind", "Source": "/project", "Target": "/workspace"}],
        "DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}],
        "RestartPolicy": {"Name": "unless-stopped"},
    },
    "NetworkSettings": {"Networks": {"gl-1-a": {"IPAddress": "172.18.0.2", "Aliases": ["0123"], "NetworkID": "77"}}},
}


def test_everything_of_the_container_is_in_the_request_and_nothing_of_its_addresses() -> None:
    assert copied_config(RAW, Image("sha256:1")) == {
        **RAW["Config"],
        "HostConfig": RAW["HostConfig"],
        "NetworkingConfig": {"EndpointsConfig": {"gl-1-a": {}}},
    }


@pytest.mark.parametrize("image", [None, Image("sha256:2")])
def test_the_image_stays_the_same_when_its_name_means_another_by_now(image: Image | None) -> None:
    assert copied_config(RAW, image)["Image"] == "sha256:1"
    assert RAW["Config"]["Image"] == "gpu-launcher/jupyter:cu128"
