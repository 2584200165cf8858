"""The copy of what takes long to read: taken while it is right, never when it is old, damaged or half-written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")
import numpy as np
from cifar10.archive import ARCHIVE
from cifar10.errors import TrainerError
from cifar10.files import write_atomically
from PIL import Image

from tests.torch.cifar10.loading import environ, load, save_images

READERS = {ARCHIVE: "read_archive", "cifar-10-batches-py": "read_batches", "photos": "read_images"}


@pytest.fixture
def photos(arrays: dict[str, Any]) -> Path:
    save_images(Path("photos"), arrays["x_train"][:60], np.arange(60) % 10)
    return Path("photos")


@pytest.fixture
def start(photos: Path, batch_files: dict[str, bytes], publish: Callable) -> Callable[..., tuple[str, str]]:
    """`start(path)`: the data's fingerprint, and the last line said: "images from ..." or "images kept ..."."""
    Path(ARCHIVE).write_bytes(publish())
    Path("cifar-10-batches-py").mkdir()
    for name, batch in batch_files.items():
        Path("cifar-10-batches-py", name).write_bytes(batch)

    def call(path: str | Path = photos) -> tuple[str, str]:
        said: list[str] = []
        data = load(Path(path), said)
        return data.fingerprint, said[-1]

    return call


def caches() -> list[Path]:
    return [file for file in Path("caches").rglob("*") if file.is_file()]


@pytest.mark.parametrize("path", READERS)
def test_second_start_takes_the_copy_and_says_where_it_lies(
    path: str, start: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint, said = start(path)
    (cache,) = caches()
    assert said == f"images kept for the next start in the cache {cache.absolute()}"
    monkeypatch.setattr(f"cifar10.sources.{READERS[path]}", lambda *_, **__: pytest.fail("read again"))
    assert start(path) == (fingerprint, f"images from the cache {cache.absolute()}")


def test_the_copy_serves_relative_and_absolute_paths(start: Callable) -> None:
    start()
    for path in (Path("./photos"), Path.cwd() / "photos"):
        assert start(path)[1].startswith("images from")


def test_each_source_has_its_own_copy(start: Callable) -> None:
    shutil.copytree("photos", "more/photos")
    for path in ("photos", "more/photos", ARCHIVE, "photos"):
        _, said = start(path)
    assert said.startswith("images from")
    assert len(caches()) == 3


CAT, DOG = Path("photos/cat/003.png"), Path("photos/dog/005.png")


def overwrite_in_place(file: Path) -> None:
    """Other pixels, the same number of bytes."""
    size = file.stat().st_size
    Image.new("RGB", (32, 32), "red").save(file)
    file.write_bytes(file.read_bytes().ljust(size, b"\0"))
    assert file.stat().st_size == size


CHANGES = {
    "changed, same size": lambda: overwrite_in_place(CAT),
    "changed, same time": lambda: (Image.new("RGB", (32, 32)).save("red.png"), shutil.copystat(CAT, "red.png"),
                                   Path("red.png").replace(CAT)),
    "removed": CAT.unlink,
    "added": lambda: shutil.copy2(CAT, "photos/cat/999.png"),
    "added to train and test": lambda: shutil.copytree("photos", "photos/train"),
    "swapped": lambda: (CAT.rename("a"), DOG.rename(CAT), Path("a").rename(DOG)),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_read_anew(change: str, start: Callable) -> None:
    fingerprint, _ = start()
    CHANGES[change]()
    if change == "added to train and test":
        shutil.copytree("photos/train", "photos/test")
    again, said = start()
    assert "images kept" in said
    assert again != fingerprint
    assert start() == (again, f"images from the cache {caches()[0].absolute()}")


def test_image_moved_to_the_next_class_is_noticed(start: Callable) -> None:
    """No size, no time and not even the order of the images changes by it."""
    for part in ("train", "test"):
        shutil.copytree("photos", f"split/{part}")
    fingerprint, _ = start("split")
    Path("split/train/cat/053.png").rename("split/train/deer/000.png")
    again, said = start("split")
    assert "images kept" in said
    assert again != fingerprint


@pytest.mark.parametrize("file", [ARCHIVE, "cifar-10-batches-py/data_batch_4"])
def test_refused_file_is_not_rescued_by_an_old_copy(file: str, start: Callable) -> None:
    start(file.partition("/")[0])
    Path(file).write_bytes(Path(file).read_bytes()[:-1] + b"?")
    with pytest.raises(TrainerError, match=f"{file}: is not the official file"):
        start(file.partition("/")[0])


def flip(cache: Path) -> None:
    content = bytearray(cache.read_bytes())
    content[len(content) // 2] ^= 1
    cache.write_bytes(content)


def other_data(cache: Path) -> None:
    with np.load(cache) as arrays:
        np.savez(cache, **{**arrays, "key": "0" * 64})


def without_key(cache: Path) -> None:
    with np.load(cache) as arrays:
        np.savez(cache, **{name: array for name, array in arrays.items() if name != "key"})


def pickled(cache: Path) -> None:
    with np.load(cache) as arrays:
        np.savez(cache, **{**arrays, "y_train": arrays["y_train"].astype(object)})


DAMAGES = {
    "bit flip": flip,
    "half": lambda cache: cache.write_bytes(cache.read_bytes()[: cache.stat().st_size // 2]),
    "empty": lambda cache: cache.write_bytes(b""),
    "no permission": lambda cache: cache.chmod(0),
    "of other files": other_data,
    "without key": without_key,
    "pickled objects": pickled,
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_copy_is_made_anew(damage: str, start: Callable) -> None:
    fingerprint, kept = start()
    (cache,) = caches()
    DAMAGES[damage](cache)
    assert start() == (fingerprint, kept)
    assert start() == (fingerprint, f"images from the cache {cache.absolute()}")


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("why", ["Permission denied", "Not a directory", "No space left on device"])
def test_without_room_for_a_copy_the_data_is_read_each_time(
    why: str, start: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The full disk is simulated: os.fsync says so."""
    if why == "Permission denied":
        Path("caches").mkdir(mode=0o500)
    elif why == "Not a directory":
        Path("caches").touch()
    else:
        monkeypatch.setattr(os, "fsync", full_disk)
    first, second = start(), start()
    assert first == second
    assert why in first[1]
    assert str(Path("caches").absolute()) in first[1]
    assert not [file for file in caches() if file.suffix in (".npz", ".tmp")]


def test_processes_that_start_at_once_all_get_the_data(photos: Path, start: Callable) -> None:
    """Real processes, beside one that removes the copy all the time."""
    program = (
        "import sys; from pathlib import Path; from tests.torch.cifar10.loading import load\n"
        "print(*{load(Path('photos')).fingerprint for _ in range(5)})"
    )
    command = [sys.executable, "-c", program]
    runs = [subprocess.Popen(command, env=environ(), stdout=subprocess.PIPE, text=True) for _ in range(3)]
    while any(run.poll() is None for run in runs):
        for cache in caches():
            cache.unlink(missing_ok=True)
    assert {run.communicate()[0].strip() for run in runs} == {start()[0]}
    assert [run.returncode for run in runs] == [0, 0, 0]


def test_a_file_written_by_several_at_once_is_always_whole(tmp_path: Path) -> None:
    """Threads share a process's id, as processes of two containers may."""
    path, failures = tmp_path / "file", []
    contents = [bytes([number]) * 300_000 for number in range(4)]
    write_atomically(path, contents[0])

    def write(content: bytes) -> None:
        try:
            for _ in range(10):
                write_atomically(path, content)
        except OSError as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in contents
    assert failures == []
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".tmp")] == []
