"""What a data set is, the checks that every layout's arrays must pass, .npz files, and the invented images."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar10.errors import TrainerError

Bytes = NDArray[np.uint8]
NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, slots=True)
class Split:
    """Images uint8 (N, 32, 32, 3), red green blue, and labels uint8 (N,) in 0..9."""

    images: Bytes
    labels: Bytes


Splits = tuple[Split, Split]  # to train on, to test with


@dataclass(frozen=True)
class Dataset:
    """Both splits, and where they came from."""

    train: Split
    test: Split
    source: str

    @cached_property
    def fingerprint(self) -> str:
        """CRC-32 of the training images and labels: tells one data set from another, proves nothing."""
        return f"{zlib.crc32(self.train.labels, zlib.crc32(self.train.images)):08x}"


class BadDataError(TrainerError):
    """A file that is not what it should be: one line naming it, exit code 1."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}", "correct it or its permissions, or give another file or --data")


@contextmanager
def readable(path: Path, kind: str) -> Iterator[None]:
    """Turn what a reader of `path` raises into the error that it "is not a readable `kind`"."""
    try:
        yield
    except TrainerError:  # also StoppedError, which a signal's handler raises anywhere
        raise
    except Exception as error:  # decoders raise a dozen unrelated types on damaged input
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        raise BadDataError(path, f"is not a readable {kind} ({reason.splitlines()[0]})") from error


def checked_split(images: NDArray[np.generic], labels: NDArray[np.generic], path: Path, name: str) -> Split:
    """A Split of both arrays; BadDataError naming `path` when a shape, type or value is not CIFAR-10's."""
    wrong = labels[~np.isin(labels, range(10))]
    for good, problem in (
        (images.shape[1:] == (32, 32, 3), f"images have shape {images.shape}, expected (N, 32, 32, 3)"),
        (images.dtype == np.uint8, f"images are {images.dtype}, expected uint8 from 0 to 255"),
        (images.size > 0, "has no images"),
        (labels.shape == images.shape[:1], f"labels have shape {labels.shape}, expected {images.shape[:1]}"),
        (labels.dtype.kind in "iu", f"labels are {labels.dtype}, expected integers"),
        (wrong.size == 0, f"has the label {wrong[:1]}, expected 0 to 9"),
    ):
        if not good:
            raise BadDataError(path, f"{name} {problem}")
    return Split(np.ascontiguousarray(images, np.uint8), labels.astype(np.uint8))


def read_npz(path: Path, key: str = "") -> Splits:
    """The NPZ_KEYS of an .npz file, which must hold `key` too where one is given; BadDataError names the file."""
    with readable(path, ".npz file"), path.open("rb") as file:
        arrays = np.lib.npyio.NpzFile(file, allow_pickle=False)  # no pickled objects
        if not set(NPZ_KEYS) <= set(arrays):
            raise BadDataError(path, f"needs the arrays {', '.join(NPZ_KEYS)}, but has {', '.join(arrays) or 'none'}")
        if key and str(arrays["key"]) != key:
            raise BadDataError(path, "was made of other files")
        x_train, y_train, x_test, y_test = (arrays[name] for name in NPZ_KEYS)
        return checked_split(x_train, y_train, path, "train"), checked_split(x_test, y_test, path, "test")


def synthetic(train_count: int = 10_000, test_count: int = 2_000) -> Dataset:
    """Invented images, learnable but no measure of anything: stripes of a direction and colour for each class."""
    generator = np.random.default_rng(0)

    def stripes(count: int) -> Split:
        labels = generator.permutation(np.arange(count) % 10).astype(np.uint8)
        angle = labels[:, None, None] * np.float32(np.pi / 10)
        phase = generator.uniform(0, 2 * np.pi, (count, 1, 1)).astype(np.float32)
        y, x = np.mgrid[0:32, 0:32].astype(np.float32)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * np.float32(0.8) + phase)
        tint = 1 + np.cos(angle * 2 + np.arange(3, dtype=np.float32) * 2)
        noise = generator.integers(0, 160, (count, 32, 32, 3), np.uint8)
        return Split((noise + 48 + 12 * wave[..., None] * tint[:, None]).astype(np.uint8), labels)

    return Dataset(stripes(train_count), stripes(test_count), "synthetic")
