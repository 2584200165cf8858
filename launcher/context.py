"""Everything a command works with: the environment variables, the engine, the user's state, the screen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.endpoint import Endpoint, resolve_endpoint
from launcher.engine import Engine
from launcher.host import home_directory, owner_uid
from launcher.host_paths import checkout
from launcher.progress import Progress
from launcher.state import State

if TYPE_CHECKING:
    from launcher.remote.connection import RemoteEngine


@dataclass
class Context:
    """Made once a command; the engine is connected on first use, so that `--help` never waits for one."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    progress: Progress = field(default_factory=Progress)
    json: bool = False
    consent: bool | None = None
    trailing: tuple[str, ...] | None = None
    # (container, name) -> content of its run volume, as this command wrote or read it: each look costs 70 ms.
    run_files: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @cached_property
    def home(self) -> Path:
        return home_directory(self.environ)

    @cached_property
    def owner(self) -> int:
        """The uid whose environments are meant; over ssh:// the one we are there: this machine's means nothing."""
        return self.remote.far.uid if self.remote else owner_uid(self.environ)

    @cached_property
    def state(self) -> State:
        return State.locate(self.environ)

    @cached_property
    def endpoint(self) -> Endpoint:
        return resolve_endpoint(self.environ)

    @cached_property
    def remote(self) -> RemoteEngine | None:
        """The engine's machine where it is another, reached by ssh; raises NotReadyError or TimedOutError."""
        if not self.endpoint.ssh:
            return None
        from launcher.remote.connection import open_engine

        with self.endpoint.named():
            return open_engine(self.endpoint.url, self.environ, self.state)

    @cached_property
    def client_endpoint(self) -> Endpoint:
        """Where programs on this machine connect: over ssh:// the forwarded socket."""
        return replace(self.endpoint, url=self.remote.url) if self.remote else self.endpoint

    @cached_property
    def engine(self) -> Engine:
        from launcher.docker_engine import DockerEngine
        from launcher.setup.obstacles import socket_obstacle
        from launcher.setup.probe import EngineState, ask_engine

        # One short question first: the SDK would wait half a minute for an engine that hangs.
        state = EngineState.ANSWERS if self.remote else ask_engine(self.endpoint.url).state
        if obstacle := socket_obstacle(state, self.endpoint.url, self.endpoint.source):
            raise obstacle
        with self.endpoint.named():
            return DockerEngine.connect(self.endpoint, self.client_endpoint.url)

    @cached_property
    def checkout(self) -> Path | None:
        return checkout()
