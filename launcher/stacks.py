"""The GPU stacks that can be built, read from images/stacks.toml, the only place of their versions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from launcher import toml
from launcher.errors import LauncherError, UsageError

TARGETS = ("jupyter", "ssh")


@dataclass(frozen=True, slots=True)
class Stack:
    """One row of stacks.toml; versions as published, compute capabilities as `major.minor`."""

    name: str
    summary: str
    debian: str
    python: str
    torch: str
    torchvision: str
    torchaudio: str
    triton: str
    cuda: str
    cuda_runtime: str
    cudnn: str
    nccl: str
    compute_capabilities: tuple[str, ...]
    ptx: tuple[str, ...]
    driver_minimum: str
    index: str
    locked: bool

    def lock(self, target: str) -> Path:
        """The hash-locked requirements of `base` (both targets) or of what `jupyter` adds."""
        return images_directory() / "locks" / target / f"{self.name}.txt"


def images_directory() -> Path:
    """The Dockerfile's directory: beside the package in a checkout, inside it when installed from a wheel.

    Raises LauncherError when it is in neither place.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package.parent / "images", package / "_images"):
        if (candidate / "Dockerfile").is_file() and (candidate / "stacks.toml").is_file():
            return candidate
    raise LauncherError(
        f"the image definitions are missing beside {package}", "install gpu-launcher again, or run it from a clone"
    )


def load_stacks() -> dict[str, Stack]:
    """All stacks by name, in the file's order."""
    return {name: parse_stack(name, row) for name, row in _document()["stacks"].items()}


def default_stack() -> Stack:
    """The stack used when none is named."""
    return load_stacks()[_document()["default"]]


def find_stack(name: str) -> Stack:
    """The stack called `name`. Raises UsageError when there is none."""
    stacks = load_stacks()
    if name not in stacks:
        raise UsageError(f"there is no stack {name!r}", f"choose one of: {', '.join(stacks)}")
    return stacks[name]


def parse_stack(name: str, row: dict[str, Any]) -> Stack:
    """Turn one table into a Stack; a missing or unknown key raises LauncherError."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    wrong = {field.name for field in fields(Stack)} ^ {"name", *values}
    if wrong:
        raise LauncherError(
            f"stacks.toml, stack {name}: missing or unknown: {', '.join(sorted(wrong))}", "correct images/stacks.toml"
        )
    return Stack(name=name, **values)


def _document() -> dict[str, Any]:
    path = images_directory() / "stacks.toml"
    try:
        return toml.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LauncherError(
            f"{path} cannot be read: {error}", "correct it, or restore it from the repository"
        ) from error
