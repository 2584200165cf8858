"""Files for a container's volumes as tar archives: works on a remote engine and never shows in argv or env."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass

END_BYTES = 2 * tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class InjectedFile:
    """A file's bytes and permission bits."""

    content: bytes
    mode: int = 0o400


def archive(files: Mapping[str, InjectedFile], uid: int, gid: int, directory_mode: int = 0o700) -> bytes:
    """A tar of `files` by relative name, owned by uid:gid.

    Its first entry is the directory itself: a fresh volume belongs to root until that entry sets owner and mode.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        # The engine skips an entry named "." or "./", and applies "/" to the directory it extracts into.
        tar.addfile(_owned(tarfile.TarInfo("/"), uid, gid, directory_mode, tarfile.DIRTYPE))
        for name, file in files.items():
            entry = _owned(tarfile.TarInfo(name), uid, gid, file.mode, tarfile.REGTYPE)
            entry.size = len(file.content)
            tar.addfile(entry, io.BytesIO(file.content))
        size = buffer.tell()
    # Without the rest of tarfile's padding, on which Podman may fail: https://github.com/containers/buildah/issues/6573
    return buffer.getvalue()[: size + END_BYTES]


def _owned(entry: tarfile.TarInfo, uid: int, gid: int, mode: int, kind: bytes) -> tarfile.TarInfo:
    entry.uid, entry.gid, entry.mode, entry.type = uid, gid, mode, kind
    entry.mtime = int(time.time())
    return entry
