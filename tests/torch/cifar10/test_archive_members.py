"""What else may be in an archive whose digest matches: nothing of it becomes a file. All data is made here."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
from cifar10.archive import ARCHIVE
from cifar10.errors import TrainerError

from tests.torch.cifar10.loading import load


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
        special("cifar-10-batches-py/test_batch", tarfile.REGTYPE),
        special("/absolute", tarfile.REGTYPE),
    ],
    ids=lambda member: member.name,
)
def test_no_member_is_written_to_disk(member: tarfile.TarInfo, publish: Callable, tmp_path: Path) -> None:
    """Its digest matches, so it is opened: the batches are read, or refused by name, and no member becomes a file."""
    content = publish(member)
    path = tmp_path / "data" / ARCHIVE
    path.parent.mkdir()
    path.write_bytes(content)
    try:
        load(path)
    except TrainerError as error:
        assert str(path) in error.cause
    found = {file.name for file in tmp_path.rglob("*") if file.is_file()}
    assert {name for name in found if not name.endswith(".npz")} == {ARCHIVE}


def test_archive_that_cannot_be_unpacked_is_named(
    publish: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = publish()
    path = tmp_path / ARCHIVE
    path.write_bytes(content[:-2000])
    monkeypatch.setattr("cifar10.archive.SHA256", hashlib.sha256(content[:-2000]).hexdigest())
    with pytest.raises(TrainerError, match=f"{ARCHIVE}: is not a readable archive"):
        load(path)
