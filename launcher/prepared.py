"""Which volumes have got their owner already. A cache: an entry is written once the engine has set the owner.

Setting it costs 70 ms a volume, as the engine mounts all of a container's volumes for it.
"""

from __future__ import annotations

from contextlib import suppress

from launcher.engine import Volume
from launcher.errors import NotReadyError
from launcher.state import State, write_atomically

DIRECTORY = "volumes"


def is_prepared(state: State, volume: Volume, user: str) -> bool:
    """True when `mark` was called for this very volume and `user` (uid:gid); a new one of the name is another."""
    with suppress(OSError):
        return bool(volume.created) and (state.directory / DIRECTORY / volume.name).read_text() == _entry(volume, user)
    return False


def mark(state: State, volume: Volume, user: str) -> None:
    """Remember that the volume's directory belongs to `user`; without a place to write to it is done again."""
    with suppress(OSError, NotReadyError):
        write_atomically(state.subdirectory(DIRECTORY) / volume.name, _entry(volume, user).encode())


def forget(state: State, name: str) -> None:
    """For a volume that is deleted."""
    with suppress(OSError):
        (state.directory / DIRECTORY / name).unlink(missing_ok=True)


def _entry(volume: Volume, user: str) -> str:
    return f"{volume.created} {user}\n"
