"""Which of the known layouts lies at --data, what to do when none does, and a copy of what takes long to read."""

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np

from cifar10.archive import ARCHIVE, MD5, download_archive, read_archive, read_batches
from cifar10.data import BadDataError, Dataset, Splits, read_npz, synthetic
from cifar10.files import write_atomically
from cifar10.folder import is_image_folder, list_images, read_images
from cifar10.report import say
from cifar10.settings import Settings

CACHE_FORMAT = 1  # to be raised when the same files are read as other images than before


def load_dataset(settings: Settings) -> Dataset:
    """The data set asked for, by download if --data holds none. TrainerError names the file that is not CIFAR-10."""
    if settings.synthetic:
        return synthetic()
    try:
        layout, splits = _load(settings.data.absolute(), settings.mirror)
    except OSError as error:
        raise BadDataError(error.filename or settings.data, f"cannot be read ({error.strerror or error})") from error
    return Dataset(*splits, f"{layout} {settings.data}")


def _load(path: Path, mirror: str | None) -> tuple[str, Splits]:
    """The layout found at `path`, and what it holds."""
    if path.suffix == ".npz":
        return "npz", read_npz(path)
    if path.name.endswith((".tar.gz", ".tgz")):
        return "archive", cached(path, [path], partial(read_archive, path))
    if path.is_file():
        raise BadDataError(path, "is neither a directory, an .npz file nor the official .tar.gz archive")
    for directory in (path, path / "cifar-10-batches-py", path / "cifar-10-batches-bin"):
        for layout, suffix in (("batches", ""), ("binary", ".bin")):
            files = [directory / f"{name}{suffix}" for name in MD5]
            if any(file.exists() for file in files):
                return layout, cached(directory, files, partial(read_batches, files))
    npz, archive = path / "cifar10.npz", path / ARCHIVE
    if not npz.exists() and not archive.exists():
        if is_image_folder(path):
            train, test = list_images(path)
            return "images", cached(path, [file for file, _ in train + test], partial(read_images, train, test))
        say(f"no CIFAR-10 data in {path}: downloading the official archive")
        download_archive(archive, mirror)
    return _load(npz if npz.exists() else archive, mirror)


def cached(source: Path, files: Sequence[str | Path], read: Callable[[], Splits]) -> Splits:
    """`read()`, or an earlier start's .npz copy of it, while no name, size or time of `files` has changed."""
    # Not Path.stat(): to make a Path of each of 60,000 names takes a second.
    state = [(str(file), stat.st_size, stat.st_mtime_ns) for file, stat in zip(files, map(os.stat, files), strict=True)]
    key = hashlib.sha256(repr((CACHE_FORMAT, state)).encode()).hexdigest()
    caches = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '')}/.cache"
    place = Path(caches, "cifar10", quote(os.fsencode(source), safe="") + ".npz")
    with suppress(BadDataError):
        splits = read_npz(place, key)
        say(f"images from the cache {place}")
        return splits
    (train, test), content = read(), io.BytesIO()
    np.savez(content, key=key, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, content.getbuffer())
        say(f"images kept for the next start in the cache {place}")
    except OSError as error:
        say(f"no cache in {place.parent}, so the next start takes as long ({error.strerror})")
    return train, test
