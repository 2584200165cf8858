"""The official files: the archive, and the batch files of the Python and of the binary version."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cifar10.data import BadDataError, Split, Splits, checked_split, readable

ARCHIVE = "cifar-10-python.tar.gz"
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
BATCHES = tuple(OFFICIAL.md5)


def read_archive(path: Path, release: Release = OFFICIAL) -> Splits:
    """Load the official .tar.gz; its sha256 must match before a byte is parsed. Nothing is written to disk."""
    content = io.BytesIO(_verified(path, "sha256", release.sha256))
    with readable(path, "archive"), tarfile.open(fileobj=content) as archive:
        # In its own order: to go back would be to unpack it from the start again.
        files = {member.name: file.read() for member in archive if (file := archive.extractfile(member))}
        return _joined(_parse(path / name, files[f"cifar-10-batches-py/{name}"]) for name in BATCHES)


def read_batches(paths: Sequence[Path], release: Release = OFFICIAL) -> Splits:
    """Load torchvision's data_batch_1..5 and test_batch, or data_batch_1.bin..5 and test_batch.bin, in this order.

    The md5 of torchvision's files must match before they are parsed; for the binary version no digests are known.
    """
    contents = (path.read_bytes() if path.suffix else _verified(path, "md5", release.md5[path.name]) for path in paths)
    return _joined(map(_parse, paths, contents))


def _verified(path: Path, algorithm: str, expected: str) -> bytes:
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


def _parse(path: Path, content: bytes) -> Split:
    with readable(path, "CIFAR-10 batch"):
        if path.suffix == ".bin":  # records of a label and the pixels
            records = np.frombuffer(content, np.uint8).reshape(-1, 1 + 3072)
            labels, pixels = records[:, 0], records[:, 1:]
        else:
            batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
            labels, pixels = np.asarray(batch[b"labels"]), batch[b"data"]
        # A row of pixels holds 1,024 red, then green, then blue values.
        return checked_split(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels, path, "batch")


def _joined(batches: Iterable[Split]) -> Splits:
    *train, test = batches
    images, labels = [batch.images for batch in train], [batch.labels for batch in train]
    return Split(np.concatenate(images), np.concatenate(labels)), test
