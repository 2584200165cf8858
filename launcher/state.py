"""The launcher's own files: keys, ssh configuration, locks. What environments exist, the engine knows."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import ConflictError, NotReadyError
from launcher.host import home_directory


@dataclass(frozen=True, slots=True)
class State:
    """One directory of mode 0700: $XDG_STATE_HOME/gpu-launcher."""

    directory: Path

    @classmethod
    def locate(cls, environ: Mapping[str, str]) -> State:
        """The directory by the XDG rules; not made yet."""
        base = environ.get("XDG_STATE_HOME", "")
        return cls((Path(base) if base.startswith("/") else home_directory(environ) / ".local/state") / "gpu-launcher")

    def subdirectory(self, name: str = "") -> Path:
        """Make a directory that only the user can enter; raises NotReadyError where that is refused."""
        path = self.directory / name
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise NotReadyError(
                f"cannot write to {path}: {error.strerror}",
                "Set XDG_STATE_HOME to a directory of yours that can be written.",
            ) from None
        return path

    @contextmanager
    def lock(self, name: str, conflict: str) -> Iterator[None]:
        """Hold a lock file; raises ConflictError at once when another process holds it."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.subdirectory("locks") / f"{name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ConflictError(conflict, "Wait for it to finish, then run this again.") from None
        try:
            yield
        finally:
            lock.release()


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file so that a crash leaves the old or the new one, never half; follows no symlink.

    A path that is a symlink itself (a dotfile kept in a repository) is written where it points.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _keep_owner(target, descriptor)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _keep_owner(target: Path, descriptor: int) -> None:
    """Under sudo a user's file must not become root's."""
    if os.getuid() == 0 and target.exists():
        found = target.stat()
        os.fchown(descriptor, found.st_uid, found.st_gid)
