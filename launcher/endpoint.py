"""Which engine is meant: DOCKER_HOST, the current Docker context, or the local socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from launcher.errors import UsageError
from launcher.host import home_directory

DEFAULT_URL = "unix:///var/run/docker.sock"
SCHEMES = ("unix", "tcp", "http", "https", "ssh")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An engine's URL and where it was named."""

    url: str
    source: str

    @property
    def local(self) -> bool:
        """True for a Unix socket: host paths and the host's GPUs are then the engine's own."""
        return self.url.startswith("unix://")


def resolve_endpoint(environ: Mapping[str, str]) -> Endpoint:
    """The engine the docker command would use: https://docs.docker.com/engine/manage-resources/contexts/

    Raises UsageError when the selected context does not exist, or DOCKER_HOST is no address.
    """
    if environ.get("DOCKER_HOST"):
        return _checked(Endpoint(environ["DOCKER_HOST"], "DOCKER_HOST"))
    config = Path(environ.get("DOCKER_CONFIG") or home_directory(environ) / ".docker")
    name = environ.get("DOCKER_CONTEXT") or _current_context(config)
    if name in ("", "default"):
        return Endpoint(DEFAULT_URL, "default")
    # The docker command stores each context under the digest of its name.
    path = config / "contexts" / "meta" / sha256(name.encode()).hexdigest() / "meta.json"
    try:
        return Endpoint(json.loads(path.read_text())["Endpoints"]["docker"]["Host"], f"context {name}")
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"the Docker context {name!r} cannot be read", "See the known ones with: docker context ls"
        ) from None


def _checked(endpoint: Endpoint) -> Endpoint:
    scheme, separator, place = endpoint.url.partition("://")
    if scheme not in SCHEMES or not separator or not place:
        raise UsageError(
            f"{endpoint.source} {endpoint.url!r} is not the address of an engine",
            f"Unset it for the local engine, or use for example {DEFAULT_URL} or tcp://HOST:2376.",
        )
    return endpoint


def _current_context(config: Path) -> str:
    try:
        return str(json.loads((config / "config.json").read_text()).get("currentContext", ""))
    except (OSError, ValueError, AttributeError):
        return ""
