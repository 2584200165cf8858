"""Files that the launcher made on this machine: virtual environments of checkouts, and logs of their making."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from launcher.host import home_directory
from launcher.prune import Item

# As bin/environment.sh names them.
CHECKOUT_FILES = (".venv", ".venv.lock", ".venv.log")


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where the wrapper of a checkout that is not the user's makes its environment, by the XDG rules."""
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else home_directory(environ) / ".cache") / "gpu-launcher"


def old_files(environ: Mapping[str, str], checkout: Path | None) -> list[Item]:
    """Environments of earlier locks that no process runs from, and what failed installations left."""
    directory, found = cache_directory(environ), []
    for path in sorted(directory.glob("venv-*")):
        if path.is_dir() and path != Path(sys.prefix) and not _in_use(path):
            found.append(Item("file", str(path), "an earlier launcher's environment", size_of(path)))
        elif path.suffix in (".log", ".lock") and not path.with_suffix("").exists():
            found.append(Item("file", str(path), "of an environment that is gone", size_of(path)))
    if checkout is not None and (log := checkout / ".venv.log").exists():
        found.append(Item("file", str(log), "the log of a failed installation", size_of(log)))
    return found


def checkout_files(checkout: Path | None) -> list[Path]:
    """What the wrapper made in the checkout."""
    return [checkout / name for name in CHECKOUT_FILES if (checkout / name).exists()] if checkout else []


def remove_path(path: Path) -> None:
    """A file, or a directory with all that is in it; harmless when it is gone. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a directory."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(child.lstat().st_size for child in path.rglob("*") if not child.is_dir())


def _in_use(directory: Path) -> bool:
    return any(words and words[0].startswith(f"{directory}/") for words in _command_lines())


def _command_lines() -> Iterator[list[str]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes().decode(errors="replace").split("\0")
