"""Fixtures of the trainer's tests: a tiny data set in every layout, and the command line run inside this process."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import struct
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Images = NDArray[np.uint8]

if importlib.util.find_spec("cifar10") is None:  # outside the image: the checkout's copy
    sys.path.insert(0, str(Path(__file__).parents[3] / "images"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of the command line left: exit code and both streams' text."""

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """The result object: the last line of stdout."""
        return json.loads(self.stdout.splitlines()[-1])

    def assert_failed(self, code: int, *words: str) -> None:
        """Failed with that code, one line of cause with these words, one of next step, no traceback, no result."""
        assert self.code == code, self.stderr
        assert self.stdout == ""
        assert "Traceback" not in self.stderr
        cause, next_step = self.stderr.splitlines()[-2:]
        assert cause.startswith("cifar10: ")
        assert next_step.startswith("next: ")
        for word in words:
            assert word in cause + next_step


Cli = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def plain_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, no proxy for the loopback servers, an empty machine below ENVCHECK_ROOT, own directory and caches."""
    machine = tmp_path / "machine"
    machine.mkdir()
    monkeypatch.setenv("ENVCHECK_ROOT", str(machine))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("CIFAR10_MIRROR", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """`cli("train", "--epochs", "1")` runs the command line in this process, without the pictures of test_plots.py."""
    from cifar10.cli import main

    def run(*arguments: str | Path) -> Outcome:
        capfd.readouterr()
        pictures = ["--no-plots"] if arguments[:1] == ("train",) else []
        code = main([str(argument) for argument in arguments] + pictures)
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def arrays() -> dict[str, Any]:
    """513 training and 201 test images: neither divides by 2, and batches of 64 leave a last one of one image."""
    pytest.importorskip("torch")
    from cifar10.data import synthetic

    data = synthetic(513, 201)
    return {
        "x_train": data.train.images,
        "y_train": data.train.labels,
        "x_test": data.test.images,
        "y_test": data.test.labels,
    }


@pytest.fixture(scope="session")
def npz(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set as one .npz file."""
    import numpy as np

    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, **arrays)
    return path


def python2_batch(pixels: bytes, labels: list[int], extra: bytes = b"") -> bytes:
    """One batch file as Python 2's numpy pickled the official ones; `extra` is put before the final STOP."""
    rows = len(labels)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + b"J" + struct.pack("<i", rows) + b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN"
        + b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", len(pixels)) + pixels + b"tb"
    )  # fmt: skip
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x0bbatch_labelU\x05a oneU\x06labels" + numbers + b"U\x04data" + array + b"u" + extra + b"."


@pytest.fixture
def batch_file() -> Callable[..., bytes]:
    """The function that makes a batch file."""
    return python2_batch


@pytest.fixture(scope="session")
def batch_files(arrays: dict[str, Any]) -> dict[str, bytes]:
    """The tiny data set as five training batches and one test batch, by file name."""

    def one(images: Images, labels: Images) -> bytes:
        return python2_batch(images.transpose(0, 3, 1, 2).tobytes(), labels.tolist())

    files = {f"data_batch_{k + 1}": one(arrays["x_train"][k::5], arrays["y_train"][k::5]) for k in range(5)}
    return files | {"test_batch": one(arrays["x_test"], arrays["y_test"])}


def pack(members: dict[str, bytes], *special: tarfile.TarInfo) -> bytes:
    """A .tar.gz with these files and special members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in special:
            archive.addfile(info)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def packed(batch_files: dict[str, bytes]) -> Callable[..., bytes]:
    """`packed(*special members)`: the tiny data set as an archive."""
    return cache(lambda *special: pack({f"cifar-10-batches-py/{k}": v for k, v in batch_files.items()}, *special))


@pytest.fixture
def publish(
    packed: Callable[..., bytes], batch_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., bytes]:
    """`publish(*special members, **changed files)` makes the tiny data set the official one, by its digests.

    Returns the archive.
    """
    from cifar10 import archive

    def call(*special: tarfile.TarInfo, **changed: bytes) -> bytes:
        content = packed(*special)
        for name, data in (batch_files | changed).items():
            monkeypatch.setitem(archive.MD5, name, hashlib.md5(data, usedforsecurity=False).hexdigest())
        monkeypatch.setattr(archive, "SHA256", hashlib.sha256(content).hexdigest())
        monkeypatch.setattr(archive, "SIZE", len(content))
        return content

    return call


@pytest.fixture
def batches_directory(batch_files: dict[str, bytes], tmp_path: Path) -> Path:
    """A --data directory in torchvision's layout."""
    directory = tmp_path / "torchvision" / "cifar-10-batches-py"
    directory.mkdir(parents=True)
    for name, content in batch_files.items():
        (directory / name).write_bytes(content)
    return directory.parent


@pytest.fixture
def train(cli: Callable, npz: Path) -> Callable:
    """`train(out, epochs, ...)` trains on the tiny data set with augmentation, so that every random draw counts."""

    def run(out: str, epochs: int, *more: str) -> object:
        arguments = ("--data", npz, "--out", out, "--epochs", str(epochs), "--device", "cpu", "--augment")
        return cli("train", *arguments, *more)

    return run
