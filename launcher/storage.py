"""The part of the engine's port that moves and clears what it stores: images, networks, files of containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image with every name it has (none: dangling).

    `total_bytes` is its size uncompressed, `own_bytes` what no other image shares; `containers` counts those made from
    it, whatever their state.
    """

    id: str
    references: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    total_bytes: int = 0
    own_bytes: int = 0
    containers: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """A network; `created` in seconds since 1970."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class PathStat:
    """A path in a container: `kind` is directory, file, link or other; `target` is where a link leads, resolved."""

    name: str
    kind: str
    bytes: int = 0
    target: str = ""


class Storage(Protocol):
    """Every failure is a LauncherError with its cause."""

    def stored_images(self, label: str) -> list[StoredImage]: ...
    def remove_image(self, reference: str) -> None: ...
    def save_images(self, references: Sequence[str]) -> Iterator[bytes]: ...
    def load_images(self, archive: Iterable[bytes]) -> None: ...
    def build_cache_bytes(self) -> int: ...
    def prune_build_cache(self) -> int: ...
    def list_networks(self, label: str) -> list[Network]: ...
    def path_stat(self, container: str, path: str) -> PathStat | None: ...
    def get_tree(self, container: str, path: str) -> Iterator[bytes]: ...
    def put_tree(self, container: str, directory: str, tar: Iterable[bytes]) -> None: ...
