"""The port every other module talks to; docker_engine.py is its one real implementation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from launcher.storage import Storage


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself; `unlimited` names what it cannot limit: memory, cpus, pids."""

    version: str
    id: str = ""
    runtimes: tuple[str, ...] = ()
    cdi_directories: tuple[str, ...] = ()
    cdi_devices: tuple[str, ...] = ()
    memory_bytes: int = 0
    processors: int = 0
    unlimited: tuple[str, ...] = ()
    rootless: bool = False
    podman: bool = False
    local: bool = True


@dataclass(frozen=True, slots=True)
class Image:
    """An image by its id, with the labels it carries and the environment it gives its containers."""

    id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the engine sees it now.

    `state` is Docker's (created, running, paused, restarting, exited, dead); `health` is starting, healthy,
    unhealthy, or "" without a health check. `environment` and `user` (uid:gid) are empty in a listing.
    `created` is in seconds since the epoch.
    """

    id: str
    name: str
    state: str
    health: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    restarts: int = 0
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    created: int = 0


@dataclass(frozen=True, slots=True)
class Volume:
    """A named volume; `bytes` is None where the engine did not measure it, `created` a time in the engine's words."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    bytes: int | None = None
    created: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command in a container printed and returned."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """A named volume at an absolute path in the container."""

    volume: str
    container: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """One way to pass GPUs through: `kind` is cdi, device-request or runtime.

    `devices` are CDI names for cdi, else indices, UUIDs or the one word "all".
    """

    kind: str
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """A container before it exists: every choice made, nothing done. A limit that is None is not set."""

    name: str
    image: str
    command: tuple[str, ...]
    uid: int
    gid: int
    groups: tuple[int, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    binds: tuple[tuple[str, str, bool], ...]
    volumes: tuple[VolumeMount, ...]
    network: str
    container_port: int | None
    host_port: int | None
    shm_bytes: int
    pids: int
    memory_bytes: int | None = None
    nano_cpus: int | None = None
    capabilities: tuple[str, ...] = ()
    attachment: Attachment | None = None
    terminal: bool = False
    unlimited_memlock: bool = True


class Engine(Storage, Protocol):
    """Every failure is a LauncherError with its cause."""

    def info(self) -> EngineInfo: ...
    def image(self, reference: str) -> Image | None: ...
    def containers(self, label: str) -> list[Container]: ...
    def container(self, name: str) -> Container | None: ...
    def create(self, plan: ContainerPlan) -> str: ...
    def recreate(self, name: str) -> None: ...
    def start(self, name: str) -> None: ...
    def stop(self, name: str, seconds: int = 10) -> None: ...
    def restart(self, name: str, seconds: int = 10) -> None: ...
    def kill(self, name: str, signal: str) -> None: ...
    def keep_running(self, name: str, policy: str = "unless-stopped") -> None: ...
    def rename(self, name: str, new_name: str) -> None: ...
    def remove(self, name: str) -> None: ...
    def create_network(self, name: str, labels: Mapping[str, str], mtu: int | None) -> bool: ...
    def remove_network(self, name: str) -> None: ...
    def create_volume(self, name: str, labels: Mapping[str, str]) -> None: ...
    def remove_volume(self, name: str) -> None: ...
    def volumes(self, label: str, sizes: bool = False) -> list[Volume]: ...
    def put_archive(self, container: str, path: str, tar: bytes) -> None: ...
    def get_file(self, container: str, path: str) -> bytes | None: ...
    def logs(self, name: str, lines: int | None = None, *, stdout: bool = True, stderr: bool = True) -> str: ...
    def follow_logs(self, name: str, lines: int) -> Iterator[bytes]: ...
    def execute(self, name: str, command: tuple[str, ...]) -> ExecResult: ...
    def wait(self, name: str) -> int: ...
