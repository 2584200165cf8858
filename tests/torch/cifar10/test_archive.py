"""The official archive and torchvision's layout: digest first, then a parser that runs nothing. Data is made here."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import numpy as np
from cifar10.archive import OFFICIAL, read_archive, read_batches
from cifar10.batch_pickle import BatchError, parse_batch
from cifar10.data import Bytes
from cifar10.errors import TrainerError
from cifar10.report import Display
from cifar10.settings import Settings
from cifar10.sources import load_dataset

# In the form of the official file, but it names os.system, which would make a file called "ran".
ATTACK = b"cos\nsystem\nU\x09touch ran\x85R0"


def in_batch_order(array: Bytes) -> Bytes:
    """The training rows as the five batch files hold them."""
    return np.concatenate([array[k::5] for k in range(5)])


def test_torchvision_layout_is_read_exactly(
    make_release: Callable, batches_directory: Path, arrays: dict[str, Any]
) -> None:
    release, _ = make_release()
    settings = Settings("simple", None, 1, 64, 1e-3, batches_directory)
    data = load_dataset(settings, Display(enabled=False), release)
    np.testing.assert_array_equal(data.train.images, in_batch_order(arrays["x_train"]))
    np.testing.assert_array_equal(data.train.labels, in_batch_order(arrays["y_train"]))
    np.testing.assert_array_equal(data.test.images, arrays["x_test"])


def test_archive_is_read_exactly(make_release: Callable, arrays: dict[str, Any], tmp_path: Path) -> None:
    release, content = make_release()
    path = tmp_path / release.archive
    path.write_bytes(content)
    data = read_archive(path, release)
    np.testing.assert_array_equal(data.train.images, in_batch_order(arrays["x_train"]))
    np.testing.assert_array_equal(data.test.labels, arrays["y_test"])


def test_official_digests_are_those_torchvision_lists() -> None:
    cifar = pytest.importorskip("torchvision.datasets").CIFAR10
    assert dict(OFFICIAL.md5) == dict(map(tuple, cifar.train_list + cifar.test_list))
    assert OFFICIAL.url == cifar.url


def test_command_line_refuses_files_that_are_not_the_official_ones(cli: Callable, batches_directory: Path) -> None:
    outcome = cli("train", "--data", batches_directory, "--device", "cpu")
    outcome.assert_failed(1, "data_batch_1", "md5", OFFICIAL.md5["data_batch_1"])


def test_changed_batch_is_refused_before_it_is_parsed(
    make_release: Callable, batches_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, _ = make_release()
    directory = batches_directory / "cifar-10-batches-py"
    content = bytearray((directory / "data_batch_3").read_bytes())
    content[500] ^= 1
    (directory / "data_batch_3").write_bytes(content)
    parsed = []
    monkeypatch.setattr("cifar10.archive.parse_batch", lambda content: parsed.append(content) or parse_batch(content))
    with pytest.raises(TrainerError, match="data_batch_3: is not the official file: md5"):
        read_batches(directory, release)
    assert bytes(content) not in parsed


def test_missing_batch_file_is_named(make_release: Callable, batches_directory: Path) -> None:
    release, _ = make_release()
    (batches_directory / "cifar-10-batches-py" / "test_batch").unlink()
    with pytest.raises(TrainerError, match="test_batch: cannot be read"):
        read_batches(batches_directory / "cifar-10-batches-py", release)


def test_changed_archive_is_refused_before_it_is_opened(
    make_release: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, content = make_release()
    changed = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    path = tmp_path / release.archive
    path.write_bytes(changed)
    monkeypatch.setattr(tarfile, "open", lambda *_, **__: pytest.fail("opened before it was verified"))
    with pytest.raises(TrainerError) as caught:
        read_archive(path, release)
    assert release.sha256 in caught.value.cause
    assert hashlib.sha256(changed).hexdigest() in caught.value.cause


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        special("cifar-10-batches-py/link", tarfile.SYMTYPE, "/etc/passwd"),
        special("cifar-10-batches-py/hard", tarfile.LNKTYPE, "cifar-10-batches-py/test_batch"),
        special("cifar-10-batches-py/pipe", tarfile.FIFOTYPE),
        special("cifar-10-batches-py/../../above", tarfile.REGTYPE),
        special("/absolute", tarfile.REGTYPE),
    ],
    ids=lambda member: member.name,
)
def test_dangerous_member_is_refused(member: tarfile.TarInfo, make_release: Callable, tmp_path: Path) -> None:
    release, content = make_release(member)
    path = tmp_path / release.archive
    path.write_bytes(content)
    with pytest.raises(TrainerError, match="not allowed"):
        read_archive(path, release)


def test_archive_that_cannot_be_unpacked_is_named(make_release: Callable, tmp_path: Path) -> None:
    release, content = make_release()
    path = tmp_path / release.archive
    path.write_bytes(content[:-2000])
    cut = replace(release, sha256=hashlib.sha256(content[:-2000]).hexdigest())
    with pytest.raises(TrainerError, match="cannot be unpacked"):
        read_archive(path, cut)


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize("protocol", [None, 2, 5])
def test_pickle_that_runs_code_is_refused_and_runs_nothing(
    protocol: int | None, batch_file: Callable, tmp_path: Path
) -> None:
    content = batch_file(bytes(3072), [1], ATTACK) if protocol is None else pickle.dumps(Attack(), protocol)
    with pytest.raises(BatchError, match="names"):
        parse_batch(content)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", pickle.dumps([1]), pickle.dumps({b"labels": [0], b"data": bytes(3072)}), pickle.dumps({b"data": 0})],
)
def test_pickle_of_something_else_is_refused(content: bytes) -> None:
    with pytest.raises(BatchError):
        parse_batch(content)


def test_batch_with_too_few_bytes_is_refused(batch_file: Callable) -> None:
    parse_batch(batch_file(bytes(3072 * 2), [1, 2]))
    with pytest.raises(BatchError, match="uint8 array"):
        parse_batch(batch_file(bytes(3072 * 2 - 1), [1, 2]))
