"""The official layouts: digest first, then a parser that runs nothing. All data is made here."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import numpy as np
from cifar10 import archive
from cifar10.archive import ARCHIVE, MD5, URL
from cifar10.errors import TrainerError

from tests.torch.cifar10.loading import assert_same, load


@pytest.fixture
def ordered(arrays: dict[str, Any]) -> dict[str, Any]:
    """The arrays with the training rows as the five batch files hold them."""
    split = {name: np.concatenate([arrays[name][k::5] for k in range(5)]) for name in ("x_train", "y_train")}
    return arrays | split


def binary_files(ordered: dict[str, Any]) -> dict[str, bytes]:
    """The binary version: records of a label and 3,072 pixels, red, then green, then blue."""

    def records(images: Any, labels: Any) -> bytes:
        return np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(-1, 3072)], 1).tobytes()

    images, labels = np.array_split(ordered["x_train"], 5), np.array_split(ordered["y_train"], 5)
    parts = [*zip(images, labels, strict=True), (ordered["x_test"], ordered["y_test"])]
    return {f"{name}.bin": records(*part) for name, part in zip(MD5, parts, strict=True)}


@pytest.fixture
def write(
    tmp_path: Path, publish: Callable, batch_files: dict[str, bytes], ordered: dict[str, Any]
) -> Callable[[str], Path]:
    """`write(layout)`: the path to give as --data; the digests are those of what lies there."""

    def call(layout: str) -> Path:
        root, content = tmp_path / "data", publish()
        contents = {"archive": {ARCHIVE: content}, "py": batch_files, "bin": binary_files(ordered)}[layout]
        directory = root if layout == "archive" else root / f"cifar-10-batches-{layout}"
        directory.mkdir(parents=True)
        for name, content in contents.items():
            (directory / name).write_bytes(content)
        return directory

    return call


@pytest.mark.parametrize(
    ("layout", "given"),
    [("archive", ARCHIVE), ("archive", "."), ("py", "."), ("py", ".."), ("bin", "."), ("bin", "..")],
)
def test_layout_is_found_and_read_exactly(layout: str, given: str, write: Callable, ordered: dict[str, Any]) -> None:
    directory = write(layout)
    assert_same(load(directory / given), ordered)


def test_official_digests_are_those_torchvision_lists() -> None:
    """Its source is read, which takes no seconds of import."""
    torchvision = importlib.util.find_spec("torchvision")
    if torchvision is None or torchvision.origin is None:
        pytest.skip("needs torchvision")
    source = Path(torchvision.origin).with_name("datasets").joinpath("cifar.py").read_text()
    listed = dict(re.findall(r'\["(\w+)", "(\w{32})"\]', source.partition("class CIFAR100")[0]))
    assert listed == MD5
    assert f'url = "{URL}"' in source


@pytest.mark.parametrize(("layout", "file"), [("archive", ARCHIVE), ("py", "data_batch_3")])
def test_changed_file_is_refused_before_it_is_parsed(
    layout: str, file: str, write: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write(layout)
    content = bytearray((directory / file).read_bytes())
    content[500] ^= 1
    (directory / file).write_bytes(content)
    parsed, original = [], io.BytesIO  # both parsers start from one
    monkeypatch.setattr(io, "BytesIO", lambda *given: parsed.extend(given) or original(*given))
    with pytest.raises(TrainerError, match=f"{file}: is not the official file: (sha256|md5) ") as caught:
        load(directory)
    assert bytes(content) not in parsed
    algorithm, expected = ("sha256", archive.SHA256) if layout == "archive" else ("md5", MD5[file])
    assert hashlib.new(algorithm, content).hexdigest() in caught.value.cause
    assert expected in caught.value.cause


def spoil(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda directory: (directory / name).write_bytes(content)


def remove(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).unlink()


def forbid(name: str) -> Callable[[Path], None]:
    return lambda directory: (directory / name).chmod(0)


BAD = {
    "archive of others": ("archive", spoil(ARCHIVE, b"hello"), ARCHIVE, "sha256"),
    "empty archive": ("archive", spoil(ARCHIVE, b""), ARCHIVE, "sha256"),
    "unreadable archive": ("archive", forbid(ARCHIVE), ARCHIVE, "Permission denied"),
    "not official": ("py", spoil("data_batch_1", b"other"), "data_batch_1", "md5"),
    "missing batch": ("py", remove("data_batch_1"), "data_batch_1", "No such file"),
    "unreadable directory": ("py", forbid("."), "cifar-10-batches-py", "Permission denied"),
    "missing binary batch": ("bin", remove("test_batch.bin"), "test_batch.bin", "No such file"),
    "cut record": ("bin", spoil("data_batch_5.bin", bytes(3073 * 3 - 1)), "data_batch_5.bin", "not a readable"),
    "empty binary batch": ("bin", spoil("data_batch_2.bin", b""), "data_batch_2.bin", "no images"),
    "label 10": ("bin", spoil("data_batch_2.bin", b"\x0a" + bytes(3072)), "data_batch_2.bin", "label [10]"),
    "unreadable batch": ("bin", forbid("test_batch.bin"), "test_batch", "Permission"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_refused_by_name(case: str, write: Callable, cli: Callable) -> None:
    layout, change, file, word = BAD[case]
    directory = write(layout)
    change(directory)
    try:
        outcome = cli("train", "--data", directory, "--device", "cpu", "--mirror", "http://127.0.0.1:9", "--out", "run")
    finally:
        directory.chmod(0o700)
    outcome.assert_failed(1, file, word, "--data")
    assert not Path("run").exists()


def test_file_of_another_kind_is_refused_by_name(cli: Callable) -> None:
    Path("data.zip").write_bytes(b"PK")
    cli("train", "--data", "data.zip", "--device", "cpu").assert_failed(1, "data.zip", "neither", "--data")


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def batch(**changes: Any) -> bytes:
    """A batch of one image with changes, under the names of the official files."""
    content = {b"labels": [1], b"data": np.zeros((1, 3072), np.uint8)} | {k.encode(): v for k, v in changes.items()}
    return pickle.dumps(content, 3).replace(b"numpy._core.", b"numpy.core.")


# Each names something that is run on loading: as Python 2 wrote it, as Python 3 does, and by the names of numpy itself.
HOSTILE = {
    "os.system": (b"cos\nsystem\nU\x09touch ran\x85R.", "os.system"),
    "in a good batch": (None, "os.system"),
    "protocol 2": (pickle.dumps(Attack(), 2), "__builtin__.getattr|pathlib"),
    "protocol 5": (pickle.dumps(Attack(), 5), "builtins.getattr|pathlib"),
    "builtins": (b"c__builtin__\neval\nU\x17open('ran','w').close()\x85R.", "__builtin__.eval"),
    "attribute of numpy": (b"cnumpy\nload\nU\x03ran\x85R.", "numpy.load"),
    "dotted name": (b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.", "numpy.ndarray.__class__"),
}
NOT_A_BATCH = {
    "empty": (b"", "not a readable"),
    "junk": (b"junk", "not a readable"),
    "bytes for labels": (batch(labels=b"1"), "labels"),
    "list": (pickle.dumps([1]), "not a readable"),
    "no pixels": (pickle.dumps({b"labels": [1]}), "not a readable"),
    "bytes for pixels": (pickle.dumps({b"labels": [1], b"data": bytes(3072)}), "not a readable"),
    "wrong shape": (batch(data=np.zeros((1, 3071), np.uint8)), "not a readable"),
    "object arrays": (batch(data=np.full((1, 3072), None)), "object"),
    "floats": (batch(data=np.full((1, 3072), np.nan)), "float64"),
    "label 10": (batch(labels=[10]), "label [10]"),
    "label -1": (batch(labels=[-1]), "label [-1]"),
    "too many labels": (batch(labels=[1, 2]), "(2,)"),
    "text labels": (batch(labels=["cat"]), "not a readable|labels"),
}


@pytest.fixture
def put(publish: Callable, write: Callable) -> Callable[[bytes], Path]:
    """`put(content)`: a directory of batch files, the second of which is this, and its digest vouches for it."""

    def call(content: bytes) -> Path:
        directory = write("py")
        (directory / "data_batch_2").write_bytes(content)
        publish(data_batch_2=content)
        return directory

    return call


@pytest.mark.parametrize("case", HOSTILE)
def test_pickle_that_names_what_runs_is_refused_and_runs_nothing(
    case: str, put: Callable, batch_file: Callable
) -> None:
    content, name = HOSTILE[case]
    content = content or batch_file(bytes(3072), [1], b"cos\nsystem\nU\x09touch ran\x85R0")
    directory = put(content)
    with pytest.raises(TrainerError, match=f"data_batch_2: .*it names ({name})"):
        load(directory)
    assert not Path("ran").exists()


@pytest.mark.parametrize("case", ["os.system", "in a good batch", "protocol 2", "protocol 5", "builtins"])
def test_these_pickles_would_run_it(case: str, batch_file: Callable) -> None:
    """Proves the test above: Python's own loader does run them."""
    content = HOSTILE[case][0] or batch_file(bytes(3072), [1], b"cos\nsystem\nU\x09touch ran\x85R0")
    pickle.loads(content, encoding="bytes")  # noqa: S301
    assert Path("ran").exists()


@pytest.mark.parametrize("case", NOT_A_BATCH)
def test_pickle_of_something_else_is_refused_by_name(case: str, put: Callable) -> None:
    content, words = NOT_A_BATCH[case]
    with pytest.raises(TrainerError, match="data_batch_2: ") as caught:
        load(put(content))
    assert any(word in caught.value.cause for word in words.split("|"))
