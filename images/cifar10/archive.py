"""The official archive and torchvision's unpacked directory: checked by digest first, then parsed, never executed."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from cifar10.batch_pickle import BatchError, parse_batch
from cifar10.data import Bytes, Dataset, Split, bad_data, checked_split
from cifar10.errors import TrainerError

BATCHES_DIRECTORY = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILES = ("test_batch",)
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Release:
    """A published data set: where it is, the archive's sha256 and each batch file's md5."""

    url: str
    archive: str
    sha256: str
    md5: Mapping[str, str] = field(default_factory=dict)


# https://www.cs.toronto.edu/~kriz/cifar.html; the md5 of each file as torchvision.datasets.CIFAR10 lists them.
OFFICIAL = Release(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    archive="cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
)


def read_batches(directory: Path, release: Release = OFFICIAL) -> Dataset:
    """Load torchvision's layout (data_batch_1..5 and test_batch); every file's md5 must match before it is parsed."""

    def read(name: str) -> bytes:
        content = _read(directory / name)
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if digest != release.md5[name]:
            raise bad_data(directory / name, f"is not the official file: md5 {digest}, expected {release.md5[name]}")
        return content

    return _assemble(read, directory)


def read_archive(path: Path, release: Release = OFFICIAL) -> Dataset:
    """Load the official .tar.gz; its sha256 must match before a byte is parsed. Nothing is written to disk."""
    content = _read(path)
    digest = hashlib.sha256(content).hexdigest()
    if digest != release.sha256:
        raise TrainerError(
            f"{path}: is not the official archive: sha256 {digest}, expected {release.sha256}",
            "delete that file to have it downloaded again, or give other data with --data",
        )
    try:
        members = _members(path, content)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise bad_data(path, f"cannot be unpacked ({error})") from error

    def read(name: str) -> bytes:
        if name not in members:
            raise bad_data(path, f"has no {BATCHES_DIRECTORY}/{name}")
        return members[name]

    return _assemble(read, path)


def _members(path: Path, content: bytes) -> dict[str, bytes]:
    """The batch files' contents, read in memory. Links, devices and paths that lead outside are refused."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if not (member.isfile() or member.isdir()) or name.is_absolute() or ".." in name.parts:
                raise bad_data(path, f"has a member that is not allowed: {member.name}")
            file = archive.extractfile(member)
            if file is not None and name.parent.name == BATCHES_DIRECTORY and name.name in TRAIN_FILES + TEST_FILES:
                found[name.name] = file.read()
    return found


def _assemble(read: Callable[[str], bytes], path: Path) -> Dataset:
    train, test = ([_parse(read(name), path / name, name) for name in names] for names in (TRAIN_FILES, TEST_FILES))
    return Dataset(_join(train), _join(test), f"official {path}")


def _parse(content: bytes, path: Path, name: str) -> Split:
    try:
        planes, labels = parse_batch(content)
    except BatchError as error:
        raise bad_data(path, f"is not a CIFAR-10 batch ({error})") from error
    # A row of the file holds 1,024 red, then green, then blue values.
    images: Bytes = planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return checked_split(images, labels, path, name)


def _join(parts: list[Split]) -> Split:
    return Split(np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise bad_data(path, f"cannot be read ({error.strerror})") from error
