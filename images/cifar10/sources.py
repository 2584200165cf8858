"""Which of the known layouts lies at --data, and what to do when none does: download."""

from __future__ import annotations

from pathlib import Path

from cifar10.archive import BATCHES_DIRECTORY, OFFICIAL, Release, read_archive, read_batches
from cifar10.data import Dataset, bad_data, read_npz, synthetic
from cifar10.download import download_archive
from cifar10.errors import TrainerError
from cifar10.report import Display
from cifar10.settings import Settings

NPZ_NAME = "cifar10.npz"


def load_dataset(settings: Settings, display: Display, release: Release = OFFICIAL) -> Dataset:
    """The data set the settings ask for, downloaded into --data when that directory holds none.

    Raises TrainerError naming the file when something at --data is not CIFAR-10.
    """
    if settings.synthetic:
        return synthetic()
    path = settings.data
    if path.is_file() or path.suffix in (".npz", ".gz"):
        return _load_file(path, release)
    if (path / "data_batch_1").exists():
        return read_batches(path, release)
    if (path / BATCHES_DIRECTORY).exists():
        return read_batches(path / BATCHES_DIRECTORY, release)
    if (path / NPZ_NAME).exists():
        return read_npz(path / NPZ_NAME)
    archive = path / release.archive
    if not archive.exists():
        display.say(f"no CIFAR-10 data in {path}: downloading the official archive")
        _make_directory(path)
        download_archive(archive, display, release, settings.mirror)
    return read_archive(archive, release)


def _load_file(path: Path, release: Release) -> Dataset:
    if path.suffix == ".npz":
        return read_npz(path)
    if path.name.endswith((".tar.gz", ".tgz")):
        return read_archive(path, release)
    raise bad_data(path, "is neither a directory, an .npz file nor the official .tar.gz archive")


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot make the data directory {path}: {error.strerror}", "give another --data") from error
