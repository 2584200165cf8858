"""A bundle: one tar file with what is in it, the images as the engine saves them, and a checksum behind both.

It can be read without the launcher: `tar xOf FILE images.tar.gz | docker load`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import tarfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from launcher.errors import NotReadyError

MANIFEST, IMAGES, PLAIN_IMAGES, CHECKSUM = "bundle.json", "images.tar.gz", "images.tar", "sha256"
SCHEMA_VERSION = 1
# Engines of different age agree on gzip, and Python reads zstd only since 3.14. More than the first level costs a
# minute for each percent.
GZIP_LEVEL = 1


@dataclass(frozen=True, slots=True)
class BundledImage:
    """An image in a bundle: every name it is saved under, and the digest of the sources it was built from."""

    target: str
    references: tuple[str, ...]
    source: str
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds, and by which launcher it was written."""

    launcher: str
    images: tuple[BundledImage, ...]
    schema_version: int = SCHEMA_VERSION

    def encode(self) -> bytes:
        """The JSON of bundle.json."""
        return json.dumps(asdict(self), indent=2).encode()

    @classmethod
    def decode(cls, content: bytes) -> Manifest:
        """Raises ValueError or TypeError for what is none."""
        raw = json.loads(content)
        if not isinstance(raw, dict):
            raise TypeError("not an object")
        images = (BundledImage(**{**row, "references": tuple(row["references"])}) for row in raw["images"])
        return cls(str(raw["launcher"]), tuple(images), int(raw["schema_version"]))


class _Digested:
    """A file written to, with the digest and the number of what was written."""

    def __init__(self, file: IO[bytes], digest: hashlib._Hash) -> None:
        self._file, self._digest, self.count = file, digest, 0

    def write(self, content: bytes) -> int:
        self._digest.update(content)
        self.count += len(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()


def write_bundle(path: Path, manifest: Manifest, images: Iterable[bytes], compress: bool) -> int:
    """Write `path` whole or not at all and return its bytes; a file of that name is replaced at the end."""
    with _atomic(path) as file:
        digest = hashlib.sha256()
        encoded = manifest.encode()
        digest.update(encoded)
        file.write(_header(MANIFEST, len(encoded)) + encoded + _padding(len(encoded)))
        name = IMAGES if compress else PLAIN_IMAGES
        place = file.tell()
        file.write(_header(name, 0))
        out = _Digested(file, digest)
        _write_images(out, images, compress)
        file.write(_padding(out.count))
        line = digest.hexdigest().encode()
        file.write(_header(CHECKSUM, len(line)) + line + _padding(len(line)) + bytes(2 * tarfile.BLOCKSIZE))
        size = file.tell()
        # How long a compressed stream will be is known only now.
        file.seek(place)
        file.write(_header(name, out.count))
    return size


def _write_images(out: _Digested, images: Iterable[bytes], compress: bool) -> None:
    if not compress:
        for chunk in images:
            out.write(chunk)
        return
    with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=out, mtime=0) as packed:
        for chunk in images:
            packed.write(chunk)


@contextmanager
def _atomic(path: Path) -> Iterator[IO[bytes]]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise NotReadyError(
                f"cannot write {path}: {error.strerror}", "Choose another place: launcher bundle save FILE"
            ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o644, int(time.time())
    return entry.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
