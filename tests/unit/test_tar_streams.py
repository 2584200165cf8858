"""Files as a tar stream and back: modes, links and names survive, and the other side is not trusted."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.tar_stream import StreamReader, owned_by, tar_of
from launcher.unpack import settle, unpack


def members(stream: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        return {member.name: member for member in archive.getmembers()}


def tree(directory: Path) -> Path:
    """A directory with what people have in theirs."""
    (directory / "sub dir/empty").mkdir(parents=True)
    (directory / "sub dir/mühe").write_bytes(bytes(range(256)) * 9)
    (directory / "sub dir/mühe").chmod(0o640)
    (directory / "run.sh").write_text("#!/bin/sh\n")
    (directory / "run.sh").chmod(0o755)
    (directory / "dangling").symlink_to("/nowhere/at/all")
    (directory / ("long" * 40)).write_text("x")
    os.mkfifo(directory / "fifo")
    (directory / os.fsdecode(b"latin-\xe9")).touch()
    (directory / "sub dir/empty").chmod(0o500)
    return directory


def described(directory: Path) -> dict[str, tuple[int, str | bytes]]:
    found: dict[str, tuple[int, str | bytes]] = {}
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode & 0o777
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = (0, str(path.readlink()))
        else:
            found[name] = (mode, path.read_bytes() if path.is_file() else "directory")
    return found


def copied(stream: bytes, destination: Path, chunk: int = 700) -> None:
    chunks = (stream[place : place + chunk] for place in range(0, len(stream), chunk))
    staging = destination.parent / "staging"
    staging.mkdir()
    settle(unpack(StreamReader(chunks), staging, None), destination)


def test_a_tree_comes_back_as_it_was_but_for_what_is_no_file(tmp_path: Path) -> None:
    source, skipped = tree(tmp_path / "source"), list[str]()
    stream = b"".join(tar_of(source, "named", 1234, 1235, skipped.append))
    assert skipped == [str(source / "fifo")]
    assert {(m.uid, m.gid) for m in members(stream).values()} == {(1234, 1235)}
    copied(stream, tmp_path / "copy")
    (source / "fifo").unlink()
    assert described(tmp_path / "copy") == described(source)
    assert (tmp_path / "copy/run.sh").stat().st_mtime == int((source / "run.sh").stat().st_mtime)


def test_a_directory_that_is_there_is_merged_and_what_else_is_in_it_stays(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/new").write_text("new")
    (tmp_path / "copy").mkdir(mode=0o700)
    (tmp_path / "copy/old").write_text("old")
    (tmp_path / "copy/new").write_text("older")
    copied(b"".join(tar_of(tmp_path / "source", "source", 0, 0, print)), tmp_path / "copy")
    assert described(tmp_path / "copy") == {"new": (0o644, b"new"), "old": (0o644, b"old")}
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o700


def test_a_link_given_as_the_source_is_the_file_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to("file")
    assert members(b"".join(tar_of(tmp_path / "link", "link", 0, 0, print)))["link"].isreg()


@pytest.mark.parametrize("inside", ["file", "directory"])
def test_a_file_never_replaces_a_directory_nor_the_other_way_and_nothing_is_changed(
    tmp_path: Path, inside: str
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/a").write_text("new")
    (tmp_path / "copy/thing").mkdir(parents=True)
    if inside == "file":
        (tmp_path / "source/thing").write_text("a file")
    else:
        (tmp_path / "source/thing").mkdir()
        (tmp_path / "copy/thing").rmdir()
        (tmp_path / "copy/thing").write_text("precious")
    before = described(tmp_path / "copy")
    with pytest.raises(UsageError, match="thing is a"):
        copied(b"".join(tar_of(tmp_path / "source", "source", 0, 0, print)), tmp_path / "copy")
    assert described(tmp_path / "copy") == before


def archive(*entries: tuple[str, bytes, str]) -> bytes:
    """A tar of (name, type, link or content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, kind, text in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = kind, text if kind != tarfile.REGTYPE else "", 0o6777
            entry.size = len(text) if kind == tarfile.REGTYPE else 0
            made.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


HOSTILE = {
    "a path that climbs": archive(("top/../../evil", tarfile.REGTYPE, "x")),
    "a file through its own link": archive(
        ("top", tarfile.DIRTYPE, ""), ("top/out", tarfile.SYMTYPE, ".."), ("top/out/evil", tarfile.REGTYPE, "x")
    ),
    "the top is a link": archive(("top", tarfile.SYMTYPE, ".."), ("top/evil", tarfile.REGTYPE, "x")),
    "a hard link through a link": archive(
        ("top", tarfile.DIRTYPE, ""),
        ("top/out", tarfile.SYMTYPE, "/etc"),
        ("top/evil", tarfile.LNKTYPE, "top/out/passwd"),
    ),
    "a hard link that climbs": archive(("top", tarfile.DIRTYPE, ""), ("top/evil", tarfile.LNKTYPE, "../passwd")),
}


@pytest.mark.parametrize("stream", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_writes_nothing_outside(tmp_path: Path, stream: bytes) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(LauncherError):
        copied(stream, tmp_path / "copy")
    assert {path.name for path in tmp_path.iterdir()} == before | {"staging"}
    assert not list(tmp_path.rglob("evil"))


def test_set_id_bits_do_not_come_over_and_devices_neither(tmp_path: Path) -> None:
    stream = archive(
        ("top", tarfile.DIRTYPE, ""), ("top/tool", tarfile.REGTYPE, "x"), ("top/device", tarfile.CHRTYPE, "")
    )
    copied(stream, tmp_path / "copy")
    assert described(tmp_path / "copy") == {"tool": (0o777, b"x")}


@pytest.mark.parametrize("length", [0, 100, 512, 900, 1400])
def test_an_archive_that_ends_early_is_an_error_and_changes_nothing(tmp_path: Path, length: int) -> None:
    stream = archive(("top", tarfile.DIRTYPE, ""), ("top/a", tarfile.REGTYPE, "x" * 600))
    with pytest.raises(LauncherError):
        copied(stream[:length], tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "log"
    source.write_bytes(b"x" * (3 << 20))
    stream = tar_of(source, "log", 0, 0, print)
    next(stream)
    next(stream)
    source.write_bytes(b"")
    with pytest.raises(NotReadyError, match="became shorter"):
        list(stream)


def test_a_tar_of_standard_input_is_handed_on_in_the_users_name_without_devices() -> None:
    given = archive(
        ("a", tarfile.REGTYPE, "content"),
        ("l", tarfile.SYMTYPE, "a"),
        ("device", tarfile.CHRTYPE, ""),
        ("d", tarfile.DIRTYPE, ""),
    )
    found = members(b"".join(owned_by(io.BytesIO(given), 7, 8)))
    assert {name: (m.uid, m.gid) for name, m in found.items()} == {"a": (7, 8), "l": (7, 8), "d": (7, 8)}
    assert found["a"].mode == 0o777


@pytest.mark.parametrize("cut", [lambda whole: b"junk" * 300, lambda whole: whole[:700], lambda whole: b""])
def test_standard_input_that_is_no_whole_archive_is_refused(cut: Callable[[bytes], bytes]) -> None:
    whole = archive(("a", tarfile.REGTYPE, "x" * 600))
    with pytest.raises(UsageError, match="no whole tar archive"):
        list(owned_by(io.BytesIO(cut(whole)), 7, 8))
