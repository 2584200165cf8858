"""Find and load the data set: official archive, torchvision's directory, .npz, or synthetic images.

Reading data never runs code from it, and whatever is wrong with a file is an error that names the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar10.errors import TrainerError

Bytes = NDArray[np.uint8]
NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
CLASS_COUNT = 10


@dataclass(frozen=True, slots=True)
class Split:
    """Images uint8 (N, 32, 32, 3), red green blue, and labels uint8 (N,) in 0..9."""

    images: Bytes
    labels: Bytes


@dataclass(frozen=True, slots=True)
class Dataset:
    """Both splits, and where they came from."""

    train: Split
    test: Split
    source: str

    def fingerprint(self) -> str:
        """CRC-32 of the training images and labels: tells one data set from another, proves nothing."""
        return f"{zlib.crc32(self.train.labels, zlib.crc32(np.ascontiguousarray(self.train.images))):08x}"


def bad_data(path: Path | str, problem: str) -> TrainerError:
    """The one error for unusable data."""
    return TrainerError(f"{path}: {problem}", "replace that file, or give other data with --data")


def checked_split(images: NDArray[np.generic], labels: NDArray[np.generic], path: Path | str, name: str) -> Split:
    """A Split of both arrays; TrainerError naming `path` when a shape, type or value is not CIFAR-10's."""
    if images.ndim != 4 or images.shape[1:] != (32, 32, 3):
        raise bad_data(path, f"{name} images have shape {images.shape}, expected (N, 32, 32, 3)")
    if images.dtype != np.uint8:
        raise bad_data(path, f"{name} images are {images.dtype}, expected uint8")
    if len(images) == 0:
        raise bad_data(path, f"{name} has no images")
    if labels.shape != (len(images),):
        raise bad_data(path, f"{name} labels have shape {labels.shape}, expected ({len(images)},)")
    if labels.dtype.kind not in "iu":
        raise bad_data(path, f"{name} labels are {labels.dtype}, expected integers")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= CLASS_COUNT:
        raise bad_data(path, f"{name} labels run from {low} to {high}, expected 0 to {CLASS_COUNT - 1}")
    return Split(np.ascontiguousarray(images, np.uint8), labels.astype(np.uint8))


def read_npz(path: Path) -> Dataset:
    """Load x_train, y_train, x_test, y_test from one .npz file; pickled objects in it are refused."""
    arrays = _npz_arrays(path)
    for key in NPZ_KEYS:
        if key not in arrays:
            raise bad_data(path, f"has no array {key}; it needs {', '.join(NPZ_KEYS)}")
    train = checked_split(arrays["x_train"], arrays["y_train"], path, "train")
    test = checked_split(arrays["x_test"], arrays["y_test"], path, "test")
    return Dataset(train, test, f"npz {path}")


def _npz_arrays(path: Path) -> Mapping[str, NDArray[np.generic]]:
    if not path.exists():
        raise bad_data(path, "no such file")
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise bad_data(path, "holds a single array, not an .npz archive")
        with archive:
            return {key: archive[key] for key in NPZ_KEYS if key in archive}
    except TrainerError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise a dozen unrelated types on damaged input
        raise bad_data(path, f"is not a readable .npz file ({_first_line(error)})") from error


def synthetic(train_count: int = 10_000, test_count: int = 2_000) -> Dataset:
    """Invented images: each class is a stripe pattern of its own direction and colour under strong noise.

    Learnable, so that progress is visible, but no measure of anything: only on request.
    """
    generator = np.random.default_rng(0)
    return Dataset(_stripes(train_count, generator), _stripes(test_count, generator), "synthetic")


def _stripes(count: int, generator: np.random.Generator) -> Split:
    labels = (np.arange(count) % CLASS_COUNT).astype(np.uint8)
    generator.shuffle(labels)
    angle = labels * np.float32(np.pi / CLASS_COUNT)
    y, x = np.mgrid[0:32, 0:32].astype(np.float32)
    phase = generator.uniform(0, 2 * np.pi, count).astype(np.float32)
    along = x * np.cos(angle)[:, None, None] + y * np.sin(angle)[:, None, None]
    wave = np.sin(along * np.float32(0.8) + phase[:, None, None])[..., None]
    tint = 1 + np.cos(angle[:, None] * 2 + np.arange(3, dtype=np.float32) * 2)
    noise = generator.integers(0, 160, (count, 32, 32, 3), np.uint8)
    return Split((noise + 48 + 12 * wave * tint[:, None, None, :]).astype(np.uint8), labels)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
