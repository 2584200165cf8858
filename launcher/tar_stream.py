"""Files of this machine as a tar stream, in the name of the container's user and without holding a file in memory."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from launcher.errors import LauncherError, NotReadyError, UsageError

CHUNK_BYTES = 1 << 20
END = bytes(2 * tarfile.BLOCKSIZE)
EMPTY = END
Skipped = Callable[[str], None]


def tar_of(source: Path, name: str, uid: int, gid: int, skipped: Skipped) -> Iterator[bytes]:
    """`source` (a file, or a directory with what is in it) under `name`; an empty name is the directory's content.

    Links stay links. `skipped` is told of what is neither file, directory nor link. Raises NotReadyError for what
    cannot be read.
    """
    yield from member(source.resolve() if source.is_symlink() else source, name, uid, gid, skipped)
    yield END


def member(path: Path, name: str, uid: int, gid: int, skipped: Skipped) -> Iterator[bytes]:
    """`path` as it is, a link as a link, and what is in it; nothing ends the archive."""
    try:
        found = path.lstat()
        entry = _entry(path, name, found, uid, gid)
        if entry is None:
            skipped(str(path))
        elif entry.isreg():
            with path.open("rb") as file:
                yield header(entry)
                yield from padded(file, entry.size, path)
        else:
            if name:
                yield header(entry)
            for child in sorted(path.iterdir()) if entry.isdir() else ():
                yield from member(child, f"{name}/{child.name}".lstrip("/"), uid, gid, skipped)
    except OSError as error:
        raise NotReadyError(
            f"cannot read {error.filename or path}: {error.strerror}", "Correct that, then run this again."
        ) from None


def _entry(path: Path, name: str, found: os.stat_result, uid: int, gid: int) -> tarfile.TarInfo | None:
    entry = tarfile.TarInfo(name)
    entry.uid, entry.gid, entry.mtime, entry.mode = uid, gid, int(found.st_mtime), found.st_mode & 0o777
    if stat.S_ISLNK(found.st_mode):
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif stat.S_ISDIR(found.st_mode):
        entry.type = tarfile.DIRTYPE
    elif stat.S_ISREG(found.st_mode):
        entry.size = found.st_size
    else:
        return None
    return entry


def header(entry: tarfile.TarInfo) -> bytes:
    """An entry's block, with long names and undecodable ones."""
    return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def padded(file: IO[bytes], size: int, path: Path | str) -> Iterator[bytes]:
    """Exactly what the header promised, whatever is appended to the file meanwhile."""
    left = size
    while left:
        chunk = file.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise NotReadyError(f"{path} became shorter while it was read", "Run this again when nothing writes to it.")
        left -= len(chunk)
        yield chunk
    yield bytes(-size % tarfile.BLOCKSIZE)


def owned_by(stream: IO[bytes], uid: int, gid: int) -> Iterator[bytes]:
    """A tar stream again, with every entry in the name of uid:gid; raises UsageError for what is no tar archive."""
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as archive:
            for entry in archive:
                if not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
                    # The engine is root and would really make a device.
                    continue
                entry.uid, entry.gid, entry.uname, entry.gname = uid, gid, "", ""
                entry.mode &= 0o777
                entry.type = tarfile.REGTYPE if entry.isreg() else entry.type
                yield header(entry)
                content = archive.extractfile(entry) if entry.isreg() else None
                if content is not None:
                    yield from padded(content, entry.size, entry.name)
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(
            f"standard input is no whole tar archive: {error}", "Example: tar c DIR | launcher cp - NAME:/workspace"
        ) from None
    yield END


def whole_size(source: Path) -> int:
    """Bytes of the files in `source`, for progress: what cannot be looked at counts nothing."""
    if not source.is_dir():
        return source.stat().st_size
    return sum(_sizes(source))


def _sizes(directory: Path) -> Iterable[int]:
    for parent, _, names in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            try:
                yield path.lstat().st_size
            except OSError:
                continue


class StreamReader:
    """Chunks as a file that is read once, front to back; `read` gives as much as was asked for, except at the end."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = bytearray()
        self._last = b""

    def read(self, count: int = -1) -> bytes:
        while count < 0 or len(self._rest) < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        taken = bytes(self._rest if count < 0 else self._rest[:count])
        del self._rest[: len(taken)]
        self._last = (self._last + taken[-tarfile.BLOCKSIZE :])[-tarfile.BLOCKSIZE :]
        return taken

    def is_whole(self) -> bool:
        """Read to the end: does it end as a tar archive must, with a block of zeros? tarfile does not ask."""
        self.read()
        return len(self._last) == tarfile.BLOCKSIZE and not any(self._last)


def broken_archive(how: str) -> LauncherError:
    """What the engine sent ended early or is no archive."""
    return LauncherError(f"the engine's archive is broken: {how}", "Run this again; nothing was changed here.")
