"""A tar stream from a container into a directory of this machine: the container is not trusted with our paths."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, cast

from launcher.errors import LauncherError, UsageError
from launcher.tar_stream import StreamReader, broken_archive

TOP = "top"


@dataclass(slots=True)
class Unpacked:
    """What lies unpacked at `top`; modes of directories by their path below it, set once everything is in place."""

    top: Path
    modes: dict[str, int] = field(default_factory=dict)
    bytes: int = 0


def unpack(stream: StreamReader, directory: Path, owner: tuple[int, int] | None) -> Unpacked:
    """Unpack the one file or tree of `stream` as `directory`/top; `directory` is empty and ours.

    Files get the archive's mode (no set-id bits) and time, and `owner` (None: the caller). Devices and sockets are
    left out. Raises LauncherError for an archive that ends early or names a path outside.
    """
    unpacked = Unpacked(directory / TOP)
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as archive:
            for entry in archive:
                path = _place(directory, entry.name)
                _write(archive, entry, path, directory)
                unpacked.bytes += entry.size
                if owner is not None and (path.exists() or path.is_symlink()):
                    os.chown(path, *owner, follow_symlinks=False)
                if entry.isdir():
                    unpacked.modes[str(path.relative_to(unpacked.top))] = entry.mode & 0o777
    except (tarfile.TarError, EOFError) as error:
        raise broken_archive(str(error)) from None
    if not stream.is_whole():
        raise broken_archive("it ends early")
    if not (unpacked.top.exists() or unpacked.top.is_symlink()):
        raise UsageError("this is neither a file nor a directory", "Copy what is in it by: launcher exec NAME -- CMD")
    return unpacked


def _place(directory: Path, name: str) -> Path:
    """Where an entry goes; its first component is the copied thing's own name."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".")]
    if ".." in parts or "\0" in name:
        raise LauncherError(f"the archive has a path that leads outside: {name}", "Do not trust this container.")
    path = directory / TOP
    for part in parts[1:]:
        # A link that the archive made must not lead what follows elsewhere.
        if path.is_symlink():
            raise LauncherError(f"the archive writes through a link: {name}", "Do not trust this container.")
        path = path / part
    return path


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: Path, directory: Path) -> None:
    if entry.isdir():
        path.mkdir(mode=0o700, exist_ok=True)
    elif entry.issym():
        path.symlink_to(entry.linkname)
    elif entry.islnk():
        os.link(_place(directory, entry.linkname), path, follow_symlinks=False)
    elif entry.isreg():
        content = archive.extractfile(entry)
        with path.open("xb") as file:
            if content is not None:
                shutil.copyfileobj(content, file, 1 << 20)
        path.chmod(entry.mode & 0o777)
        os.utime(path, (entry.mtime, entry.mtime))


def settle(unpacked: Unpacked, destination: Path) -> None:
    """Move what was unpacked to `destination`, merging directories; nothing is changed when anything is in the way.

    Raises UsageError where a file would replace a directory or the other way round.
    """
    staged = sorted(_tree(unpacked.top))
    for path in staged:
        _refuse_mismatch(path, destination / path.relative_to(unpacked.top))
    made = []
    for path in staged:
        target = destination / path.relative_to(unpacked.top)
        if not _is_directory(path):
            path.replace(target)
        elif not target.is_dir():
            target.mkdir(mode=0o700)
            shutil.copystat(path, target)
            _same_owner(path, target)
            made.append((target, unpacked.modes.get(str(path.relative_to(unpacked.top)), 0o755)))
    for target, mode in reversed(made):
        target.chmod(mode)


def _refuse_mismatch(path: Path, target: Path) -> None:
    exists = target.exists() or target.is_symlink()
    if exists and _is_directory(path) != _is_directory(target):
        kind, other = ("directory", "file") if _is_directory(target) else ("file", "directory")
        raise UsageError(f"{target} is a {kind} here and a {other} there", "Move it away, or choose another place.")


def _tree(top: Path) -> Iterator[Path]:
    yield top
    if _is_directory(top):
        for child in top.iterdir():
            yield from _tree(child)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _same_owner(path: Path, target: Path) -> None:
    if os.getuid() == 0:
        found = path.stat()
        os.chown(target, found.st_uid, found.st_gid)
