"""Which of the known layouts lies at --data, what to do when none does, and a copy of what takes long to read."""

import hashlib
import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import numpy as np

from cifar10.archive import ARCHIVE, BATCHES, OFFICIAL, Release, read_archive, read_batches
from cifar10.data import BadDataError, Dataset, Splits, read_npz, readable, synthetic
from cifar10.download import download_archive
from cifar10.files import write_atomically
from cifar10.folder import is_image_folder, list_images, read_images
from cifar10.report import Display
from cifar10.settings import Settings

CACHE_FORMAT = 1  # to be raised when the same files are read as other images than before


def load_dataset(settings: Settings, display: Display, release: Release = OFFICIAL) -> Dataset:
    """The data set the settings ask for, downloaded into --data when that directory holds none.

    Raises TrainerError naming the file when something at --data is not CIFAR-10.
    """
    if settings.synthetic:
        return synthetic()
    with readable(settings.data, "data set"):
        layout, path = _find(settings.data.absolute())
    if not layout:
        display.say(f"no CIFAR-10 data in {path}: downloading the official archive")
        layout, path = "archive", path / ARCHIVE
        download_archive(path, display, release, settings.mirror)
    if layout == "npz":
        splits = read_npz(path)
    elif layout == "images":
        train, test = list_images(path, display)
        files = [file for file, _ in train + test]
        splits = cached(path, files, lambda: read_images(train, test, display), display)
    elif layout == "archive":
        splits = cached(path, [str(path)], lambda: read_archive(path, release), display)
    else:
        with readable(path, "directory"):
            files = sorted(str(file) for file in path.iterdir() if "_batch" in file.name)
        splits = cached(path, files, lambda: read_batches(path, release, binary=layout == "binary"), display)
    return Dataset(*splits, f"{layout} {settings.data}")


def _find(path: Path) -> tuple[str, Path]:
    """The layout at `path` and where exactly it lies; "" for a directory that holds none."""
    if path.suffix == ".npz" or path.name.endswith((".tar.gz", ".tgz")):
        return "npz" if path.suffix == ".npz" else "archive", path
    if path.is_file():
        raise BadDataError(path, "is neither a directory, an .npz file nor the official .tar.gz archive")
    for directory in (path, path / "cifar-10-batches-py", path / "cifar-10-batches-bin"):
        for layout, suffix in (("batches", ""), ("binary", ".bin")):
            if any((directory / f"{name}{suffix}").exists() for name in BATCHES):
                return layout, directory
    for layout, name in (("npz", "cifar10.npz"), ("archive", ARCHIVE)):
        if (path / name).exists():
            return layout, path / name
    return "images" if is_image_folder(path) else "", path


def cached(source: Path, files: list[str], read: Callable[[], Splits], display: Display) -> Splits:
    """`read()`, or the copy of it that an earlier start kept while no name, size or time of `files` has changed.

    The copy is an uncompressed .npz in the user's cache directory, named by the source's path.
    """
    with readable(source, "data set"):
        stats = [(file, os.stat(file)) for file in files]  # noqa: PTH116 - 60,000 Paths take as long to make
        state = [(file, found.st_size, found.st_mtime_ns) for file, found in stats]
    key = hashlib.sha256(repr((CACHE_FORMAT, state)).encode()).hexdigest()
    caches = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '')}/.cache"
    place = Path(caches, "cifar10", quote(os.fsencode(source), safe="") + ".npz")
    with suppress(BadDataError):
        splits = read_npz(place, key)
        display.say(f"images from the cache {place}")
        return splits
    train, test = read()
    content = io.BytesIO()
    np.savez(content, key=key, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, content.getbuffer())
        display.say(f"images kept for the next start in the cache {place}")
    except OSError as error:
        display.say(f"no cache in {place.parent}, so the next start takes as long ({error.strerror})")
    return train, test
