"""The storage part of the engine in memory: named images, networks with an age, files in volumes."""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from launcher.engine import Container, Image, Volume
from launcher.errors import LauncherError
from launcher.storage import Network, PathStat, StoredImage


@dataclass
class FakeStorage:
    """What FakeEngine takes its Storage from; `stored` are images by id."""

    images: dict[str, Image] = field(default_factory=dict)
    rows: dict[str, Container] = field(default_factory=dict)
    networks: dict[str, Mapping[str, str]] = field(default_factory=dict)
    kept: dict[str, Volume] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    stored: dict[str, StoredImage] = field(default_factory=dict)
    ages: dict[str, float] = field(default_factory=dict)
    cache_bytes: int = 0

    def _volume_at(self, container: str, path: str) -> tuple[str, str]:
        raise NotImplementedError

    def stored_images(self, label: str) -> list[StoredImage]:
        return [
            replace(image, containers=sum(row.image == image.id for row in self.rows.values()))
            for image in self.stored.values()
            if has(image.labels, label)
        ]

    def remove_image(self, reference: str) -> None:
        self.images.pop(reference, None)
        for identifier, image in list(self.stored.items()):
            left = tuple(name for name in image.references if name != reference)
            if reference == identifier or (left != image.references and not left):
                del self.stored[identifier]
            elif left != image.references:
                self.stored[identifier] = replace(image, references=left)

    def save_images(self, references: Sequence[str]) -> Iterator[bytes]:
        saved = {name: dict(self.images[name].labels) for name in references}
        yield json.dumps(saved).encode()

    def load_images(self, archive: Iterable[bytes]) -> None:
        try:
            loaded = json.loads(b"".join(archive))
        except ValueError as error:
            raise LauncherError(f"the engine refused: {error}", "Run again with --debug for the details.") from None
        self.images |= {name: Image(f"loaded {name}", labels) for name, labels in loaded.items()}

    def build_cache_bytes(self) -> int:
        return self.cache_bytes

    def prune_build_cache(self) -> int:
        freed, self.cache_bytes = self.cache_bytes, 0
        return freed

    def list_networks(self, label: str) -> list[Network]:
        return [Network(name, found, self.ages[name]) for name, found in self.networks.items() if has(found, label)]

    def path_stat(self, container: str, path: str) -> PathStat | None:
        try:
            volume, inside = self._volume_at(container, path)
        except LauncherError:
            return PathStat(posixpath.basename(path), "directory") if path in ("/", "/etc") else None
        if (volume, inside) in self.files:
            return PathStat(posixpath.basename(path), "file", len(self.files[volume, inside]))
        below = any(name == volume and place.startswith(f"{inside}/".lstrip("/")) for name, place in self.files)
        return PathStat(posixpath.basename(path), "directory") if below or not inside else None

    def get_tree(self, container: str, path: str) -> Iterator[bytes]:
        volume, inside = self._volume_at(container, path)
        buffer, name = io.BytesIO(), posixpath.basename(path)
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            if (volume, inside) not in self.files:
                top = tarfile.TarInfo(name)
                top.type, top.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(top)
            for (found, place), content in sorted(self.files.items()):
                if found == volume and (place == inside or place.startswith(f"{inside}/".lstrip("/"))):
                    entry = tarfile.TarInfo(f"{name}/{place[len(inside) :]}".replace("//", "/").rstrip("/"))
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
        yield buffer.getvalue()

    def put_tree(self, container: str, directory: str, tar: Iterable[bytes]) -> None:
        volume, inside = self._volume_at(container, directory)
        with tarfile.open(fileobj=io.BytesIO(b"".join(tar))) as archive:
            for member in archive.getmembers():
                content = archive.extractfile(member)
                if content is not None:
                    self.files[volume, f"{inside}/{member.name}".strip("/")] = content.read()


def has(labels: Mapping[str, str], wanted: str) -> bool:
    key, separator, value = wanted.partition("=")
    return key in labels and (not separator or labels[key] == value)
