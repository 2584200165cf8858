"""What was asked for, parsed and checked before anything is touched."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import UsageError
from launcher.host_paths import checked_host_path

if TYPE_CHECKING:
    from launcher.settings.setting import Setting

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}[a-z0-9]")
VARIABLE_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
GPU_FORMS = "auto, all, none, a count such as 2, a list such as 0,1 (device=0 for the first alone), or UUIDs"
RESERVED_CONTAINER_PATHS = ("/", "/workspace", "/home/user", "/cache", "/data", "/run/gpu-launcher", "/tmp")  # noqa: S108


class Mode(str, Enum):
    """How an environment is reached."""

    JUPYTER = "jupyter"
    SSH = "ssh"


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """Which GPUs were asked for: `kind` is auto, all, none, count or devices."""

    kind: str
    count: int = 0
    devices: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, where: str = "--gpus") -> GpuRequest:
        """Read auto|all|none|N|0,1|device=0|UUID|MIG-UUID; raises UsageError, naming `where`, on anything else."""
        value = text.strip()
        if value in ("auto", "all", "none"):
            return cls(value)
        listed = value.startswith("device=")
        value = value.removeprefix("device=")
        if value.isdecimal() and not listed:
            return cls._count(int(value[:9]), where)
        devices = tuple(item.strip() for item in value.split(","))
        known = re.compile(r"\d+|GPU-[0-9A-Fa-f-]+|MIG-[0-9A-Za-z/-]+")
        if not all(known.fullmatch(device) for device in devices):
            raise UsageError(f"{where} {text!r} names no GPUs", f"Use {GPU_FORMS}.")
        if len(set(devices)) != len(devices):
            raise UsageError(f"{where} {text!r} names a GPU twice", "Name each GPU once.")
        return cls("devices", devices=devices)

    @classmethod
    def _count(cls, count: int, where: str) -> GpuRequest:
        if count == 0:
            raise UsageError(
                f"{where} 0 asks for no GPU", "Use --gpus none for the CPU, --gpus device=0 for the first GPU."
            )
        return cls("count", count=count)

    def __str__(self) -> str:
        if self.kind == "count":
            return str(self.count)
        if self.kind == "devices":
            return f"device={self.devices[0]}" if len(self.devices) == 1 else ",".join(self.devices)
        return self.kind


@dataclass(frozen=True, slots=True)
class BindMount:
    """A host directory or file at an absolute path in the container."""

    host: Path
    container: str
    read_only: bool = False

    @classmethod
    def parse(cls, text: str, home: Path, where: str = "--mount", base: Path | None = None) -> BindMount:
        """Read HOST[:CONTAINER][:ro], a relative HOST from `base` (None: the current directory).

        Raises UsageError, naming `where` the text stands, when the host path is missing or too powerful.
        """
        parts = text.split(":")
        read_only = len(parts) > 1 and parts[-1] in ("ro", "rw")
        options = parts.pop() if read_only else "rw"
        if not 1 <= len(parts) <= 2 or not parts[0]:
            raise UsageError(
                f"{where} {text!r} is not HOST[:CONTAINER][:ro]", "Example: --mount /datasets/imagenet:/imagenet:ro"
            )
        host = checked_host_path(parts[0], home, where, base)
        asked = parts[1] if len(parts) == 2 else f"/mnt/{host.name}"
        container = "/" + os.path.normpath(asked).lstrip("/")
        if not asked.startswith("/") or container in RESERVED_CONTAINER_PATHS:
            raise UsageError(
                f"{where} cannot use {container!r} in the container", "Choose an absolute path such as /mnt/data."
            )
        return cls(host, container, options == "ro")

    def __str__(self) -> str:
        return f"{self.host}:{self.container}" + (":ro" if self.read_only else "")


def distinct_mounts(mounts: tuple[BindMount, ...], where: str = "--mount") -> tuple[BindMount, ...]:
    """Raises UsageError when two of them claim one place in the container."""
    seen: dict[str, BindMount] = {}
    for mount in mounts:
        if mount.container in seen:
            raise UsageError(
                f"{where} {seen[mount.container].host} and {mount.host} are both {mount.container}",
                "Give one of them another place: --mount HOST:CONTAINER",
            )
        seen[mount.container] = mount
    return mounts


def environment_name(given: str | None, project: Path, mode: str) -> str:
    """The name given, checked, or `<directory>-<mode>`."""
    if given is None:
        directory = (
            project.parent.name
            if project.name == "workspace" and (project.parent / "bin/launcher").exists()
            else project.name
        )
        cleaned = re.sub(r"[^a-z0-9_.-]+", "-", directory.lower()).strip("-_.") or "project"
        return f"{cleaned[:40].rstrip('-_.')}-{mode}"
    return checked_name(given)


def checked_name(given: str, where: str = "") -> str:
    """Raises UsageError, beginning with `where`, for what cannot be an environment's name."""
    if not NAME_PATTERN.fullmatch(given):
        raise UsageError(
            f"{where}{given!r} cannot be an environment's name",
            "Use 2 to 49 lower-case letters, digits, '-', '_' or '.', beginning and ending with a letter or digit.",
        )
    return given


def parse_variables(pairs: tuple[str, ...], environ: dict[str, str], where: str = "-e") -> dict[str, str]:
    """Read KEY=VALUE pairs; a bare KEY takes its value from `environ`."""
    variables: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not VARIABLE_PATTERN.fullmatch(key):
            raise UsageError(f"{where} {pair!r} is not KEY=VALUE", "Example: -e WANDB_MODE=offline")
        if not separator and key not in environ:
            raise UsageError(f"{where} {key} has no value and is not set here", f"Give one: -e {key}=VALUE")
        variables[key] = value if separator else environ[key]
    return variables


@dataclass(frozen=True, slots=True)
class UpRequest:
    """Everything `up` and `train` were asked for, checked.

    `apt` and `pip` name packages to add to the image, `keys` files of public keys that may log in besides the caller's.
    `cpus` counts processors; None leaves a limit to the plan. `restart` is the engine's word for its restart policy.
    `settings` are the values that somebody gave, with their origins.
    """

    name: str
    mode: Mode
    project: Path
    gpus: GpuRequest = GpuRequest("auto")
    mounts: tuple[BindMount, ...] = ()
    port: int | None = None
    variables: tuple[tuple[str, str], ...] = ()
    stack: str | None = None
    skip_check: bool = False
    share: bool = False
    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    keys: tuple[Path, ...] = ()
    memory_bytes: int | None = None
    cpus: float | None = None
    shm_bytes: int | None = None
    pids: int | None = None
    restart: str = "unless-stopped"
    settings: tuple[Setting, ...] = ()
