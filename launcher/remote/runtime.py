"""A short directory for control sockets: a Unix socket's path may have 107 bytes, of which ssh needs 17 itself."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from launcher.errors import NotReadyError
from launcher.state import State

# Not XDG_RUNTIME_DIR: that goes with the last login, and tunnels outlive it. Everybody can write to /tmp, so owner and
# mode are checked before anything in it is believed.
BASE = Path("/tmp")  # noqa: S108


def runtime_directory(base: Path = BASE) -> Path:
    """The user's own directory, mode 0700; raises NotReadyError where somebody else holds its name."""
    path = base / f"gpu-launcher-{os.getuid()}"
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NotReadyError(
            f"{path} is not a directory that only you can enter, so no connection can be kept there",
            f"See whose it is, and remove it: ls -ld {path}",
        )
    return path


def short_name(state: State, url: str, environment: str = "") -> str:
    """16 characters that belong to one state directory, engine and environment."""
    return sha256("\0".join((str(state.directory), url, environment)).encode()).hexdigest()[:16]


def tidy(directory: Path) -> None:
    """Remove what belongs to connections that ended by themselves.

    The directory stays: another command may just be logging in, and ssh makes its socket there only when it is in.
    """
    for path in directory.glob("*"):
        if path.suffix in (".sock", ".facts") and not path.with_suffix(".ctl").exists():
            path.unlink(missing_ok=True)
