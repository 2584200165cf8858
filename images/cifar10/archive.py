"""The official files: the archive, and the batch files of the Python and of the binary version."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cifar10.data import BadDataError, Split, Splits, checked_split, readable

ARCHIVE = "cifar-10-python.tar.gz"
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
# What the pickles name. numpy has moved its reconstruct between private modules, and may again.
NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


@dataclass(frozen=True, slots=True)
class Release:
    """A published data set: where it is, the archive's sha256 and each batch file's md5."""

    url: str
    sha256: str
    md5: Mapping[str, str]


# https://www.cs.toronto.edu/~kriz/cifar.html; the md5 of each file as torchvision.datasets.CIFAR10 lists them.
OFFICIAL = Release(
    url=f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",
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


def read_archive(path: Path, release: Release = OFFICIAL) -> Splits:
    """Load the official .tar.gz; its sha256 must match before a byte is parsed. Nothing is written to disk."""
    content = _verified(path, "sha256", release.sha256)
    with readable(path, "archive"), tarfile.open(fileobj=io.BytesIO(content)) as archive:
        # In its own order: to go back would be to unpack it from the start again.
        files = {member.name: file.read() for member in archive if (file := archive.extractfile(member))}
        return _join(lambda name: _parse(path / name, files[f"cifar-10-batches-py/{name}"]))


def read_batches(directory: Path, release: Release = OFFICIAL, binary: bool = False) -> Splits:
    """Load torchvision's layout (data_batch_1..5 and test_batch); every file's md5 must match before it is parsed.

    Or else the binary version (data_batch_1.bin..5 and test_batch.bin), for which no digests are known.
    """
    if binary:
        return _join(lambda name: _parse(directory / f"{name}.bin"))
    return _join(lambda name: _parse(directory / name, _verified(directory / name, "md5", release.md5[name])))


def _verified(path: Path, algorithm: str, expected: str) -> bytes:
    with readable(path, "file"):
        content = path.read_bytes()
    digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if digest != expected:
        raise BadDataError(path, f"is not the official file: {algorithm} {digest}, expected {expected}")
    return content


class _Unpickler(pickle.Unpickler):
    """Answers to an array's three names alone, although the digest has already vouched for the content."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return NAMES[module, name]


def _parse(path: Path, pickled: bytes | None = None) -> Split:
    with readable(path, "CIFAR-10 batch"):
        if pickled is None:  # records of a label and the pixels
            records = np.fromfile(path, np.uint8).reshape(-1, 1 + 3072)
            labels, pixels = records[:, 0], records[:, 1:]
        else:
            batch = _Unpickler(io.BytesIO(pickled), encoding="bytes").load()
            labels, pixels = np.asarray(batch[b"labels"]), batch[b"data"]
        # A row of pixels holds 1,024 red, then green, then blue values.
        return checked_split(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels, path, "batch")


def _join(read: Callable[[str], Split]) -> Splits:
    *parts, test = map(read, BATCHES)
    images, labels = [part.images for part in parts], [part.labels for part in parts]
    return Split(np.concatenate(images), np.concatenate(labels)), test
