"""Everything a command works with: the environment variables, the engine, the user's state, the screen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from launcher.endpoint import Endpoint, resolve_endpoint
from launcher.engine import Engine
from launcher.host import home_directory, owner_uid
from launcher.host_paths import checkout
from launcher.progress import Progress
from launcher.state import State


@dataclass
class Context:
    """Made once a command; the engine is connected on first use, so that `--help` never waits for one."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    progress: Progress = field(default_factory=Progress)
    json: bool = False
    consent: bool | None = None
    trailing: tuple[str, ...] | None = None

    @cached_property
    def home(self) -> Path:
        return home_directory(self.environ)

    @cached_property
    def owner(self) -> int:
        return owner_uid(self.environ)

    @cached_property
    def state(self) -> State:
        return State.locate(self.environ)

    @cached_property
    def endpoint(self) -> Endpoint:
        return resolve_endpoint(self.environ)

    @cached_property
    def engine(self) -> Engine:
        from launcher.docker_engine import DockerEngine
        from launcher.setup.obstacles import socket_obstacle
        from launcher.setup.probe import ask_engine

        # One short question first: the SDK would wait half a minute for an engine that hangs.
        state = ask_engine(self.endpoint.url).state
        if obstacle := socket_obstacle(state, self.endpoint.url, self.endpoint.source):
            raise obstacle
        return DockerEngine.connect(self.endpoint)

    @cached_property
    def checkout(self) -> Path | None:
        return checkout()
