"""Reading a bundle: nothing of it counts before its checksum was compared."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from launcher.bundle_file import CHECKSUM, IMAGES, MANIFEST, PLAIN_IMAGES, Manifest
from launcher.errors import LauncherError, UsageError

MANIFEST_BYTES = 1 << 20
CHUNK_BYTES = 1 << 20
Measure = Callable[[Iterable[bytes]], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose checksum was right; the images are `size` bytes long from `offset` on, gzipped if `compressed`."""

    path: Path
    manifest: Manifest
    offset: int
    size: int
    compressed: bool

    def images(self) -> Iterator[bytes]:
        """The images as the engine saved them."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            stream = cast("IO[bytes]", _Part(file, self.size))
            if self.compressed:
                stream = cast("IO[bytes]", gzip.GzipFile(fileobj=stream, mode="rb"))
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk


class _Part:
    """The next `left` bytes of a file."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file, self._left = file, left

    def read(self, count: int = -1) -> bytes:
        chunk = self._file.read(self._left if count < 0 else min(count, self._left))
        self._left -= len(chunk)
        return chunk


def open_bundle(path: Path, measure: Measure) -> Bundle:
    """Compare the checksum and say what is inside; `measure` sees every byte of the images.

    Raises UsageError for a file that is no bundle or one of another version, LauncherError for a broken bundle.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            encoded = _manifest(archive, path)
            images = _next(archive, path)
            if images.name not in (IMAGES, PLAIN_IMAGES):
                raise _broken(path)
            digest = hashlib.sha256(encoded)
            with path.open("rb") as file:
                file.seek(images.offset_data)
                for chunk in measure(_chunks(_Part(file, images.size))):
                    digest.update(chunk)
            last = _next(archive, path)
            found = archive.extractfile(last) if last.name == CHECKSUM else None
            if found is None or found.read() != digest.hexdigest().encode():
                raise _broken(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", "Check the path.") from None
    except (tarfile.TarError, EOFError, zlib.error):
        raise _foreign(path) from None
    return Bundle(path, _decoded(path, encoded), images.offset_data, images.size, images.name == IMAGES)


def _chunks(part: _Part) -> Iterator[bytes]:
    while chunk := part.read(CHUNK_BYTES):
        yield chunk


def _manifest(archive: tarfile.TarFile, path: Path) -> bytes:
    first = archive.next()
    if first is None or first.name != MANIFEST or first.size > MANIFEST_BYTES:
        raise _foreign(path)
    content = archive.extractfile(first)
    return content.read() if content else b""


def _next(archive: tarfile.TarFile, path: Path) -> tarfile.TarInfo:
    try:
        entry = archive.next()
    except tarfile.TarError:
        entry = None
    if entry is None:
        raise _broken(path)
    return entry


def _decoded(path: Path, encoded: bytes) -> Manifest:
    try:
        return Manifest.decode(encoded)
    except (ValueError, TypeError, KeyError):
        raise UsageError(
            f"{path} was written by another version of the launcher", "Load it with that version, or write it again."
        ) from None


def _foreign(path: Path) -> UsageError:
    return UsageError(
        f"{path} is no bundle of the launcher", "Make one where there is a network: launcher bundle save FILE"
    )


def _broken(path: Path) -> LauncherError:
    return LauncherError(
        f"{path} is cut short or damaged; nothing was loaded", "Copy it again, and compare the copy's size."
    )
