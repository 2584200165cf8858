"""The .npz reader: what is good is read exactly, what is bad is an error that names the file and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import numpy as np
from cifar10.data import Dataset, Split, read_npz

from tests.torch.cifar10.loading import assert_same, load


def test_arrays_are_read_unchanged(npz: Path, arrays: dict[str, Any]) -> None:
    assert_same(load(npz), arrays)


def test_a_directory_with_cifar10_npz_is_a_data_set(npz: Path, arrays: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cifar10.npz").symlink_to(npz)
    assert_same(load(tmp_path / "data"), arrays)


def test_a_fingerprint_says_the_same_in_every_version() -> None:
    """A checkpoint holds it: another value would refuse to resume on the same images."""
    images = np.arange(2 * 3072).astype(np.uint8).reshape(2, 32, 32, 3)
    split = Split(images, np.array([3, 7], np.uint8))
    assert Dataset(split, split, "").fingerprint == "0ba0f1e8"


def change(**changes: Callable[[Any], Any]) -> Callable[[dict[str, Any], Path], None]:
    """Save the arrays with some of them changed; None leaves one out."""

    def save(arrays: dict[str, Any], path: Path) -> None:
        changed = arrays | {name: function(arrays[name]) for name, function in changes.items()}
        np.savez(path, **{name: value for name, value in changed.items() if value is not None})

    return save


def flip_a_bit(arrays: dict[str, Any], path: Path) -> None:
    np.savez(path, **arrays)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def truncate(arrays: dict[str, Any], path: Path) -> None:
    np.savez(path, **arrays)
    path.write_bytes(path.read_bytes()[:-1000])


def save_one_array(arrays: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, arrays["x_train"])


def make_directory(_: dict[str, Any], path: Path) -> None:
    path.mkdir()


def forbid(arrays: dict[str, Any], path: Path) -> None:
    np.savez(path, **arrays)
    path.chmod(0)


def label_set_to(value: int) -> Callable[[Any], Any]:
    return lambda labels: np.concatenate([labels[:-1].astype(np.int64), [value]])


BAD = {
    "bit flip": (flip_a_bit, "not a readable"),
    "truncated": (truncate, "not a readable"),
    "no npz at all": (lambda _, path: path.write_text("hello"), "not a readable"),
    "empty file": (lambda _, path: path.write_bytes(b""), "not a readable"),
    "missing file": (lambda _, path: None, "No such file"),
    "directory": (make_directory, "Is a directory"),
    "no permission": (forbid, "Permission denied"),
    "single array": (save_one_array, "not a readable"),
    "missing key": (change(y_test=lambda _: None), "x_train, y_train, x_test"),
    "wrong shape": (change(x_train=lambda x: x.transpose(0, 3, 1, 2)), "(513, 3, 32, 32)"),
    "flat images": (change(x_test=lambda x: x.reshape(len(x), -1)), "(201, 3072)"),
    "float images": (change(x_train=lambda x: x / np.float32(255)), "float32"),
    "NaN": (change(x_test=lambda x: np.full(x.shape, np.nan)), "float64"),
    "float labels": (change(y_train=lambda y: y.astype(np.float64)), "float64"),
    "label 10": (change(y_train=label_set_to(10)), "label [10]"),
    "label 256": (change(y_train=label_set_to(256)), "label [256]"),
    "label -1": (change(y_test=label_set_to(-1)), "label [-1]"),
    "labels missing": (change(y_test=lambda y: y[:-1]), "(200,)"),
    "no images": (change(x_train=lambda x: x[:0], y_train=lambda y: y[:0]), "no images"),
    "objects": (change(y_train=lambda y: y.astype(object)), "not a readable"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_refused(case: str, cli: Callable, arrays: dict[str, Any], tmp_path: Path) -> None:
    make, word = BAD[case]
    path = tmp_path / "bad.npz"
    make(arrays, path)
    cli("train", "--data", path, "--device", "cpu", "--out", tmp_path / "run").assert_failed(1, str(path), word)
    assert not (tmp_path / "run").exists()


def test_no_bit_flip_escapes_as_another_error(arrays: dict[str, Any], tmp_path: Path) -> None:
    """300 random bit flips in zip structure, array headers and data: read as before, or refused by name."""
    from cifar10.errors import TrainerError

    path = tmp_path / "bad.npz"
    np.savez(path, **{name: value[:4] for name, value in arrays.items()})
    good, generator = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for place in generator.integers(0, len(good) * 8, 300):
        content = bytearray(good)
        content[place // 8] ^= 1 << (place % 8)
        path.write_bytes(content)
        try:
            read_npz(path)
        except TrainerError as error:
            assert str(path) in error.cause
            refused += 1
    assert refused > 250
