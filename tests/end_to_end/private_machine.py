"""What the throw-away engine and the throw-away Podman have in common."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

from tests.conftest import lacking
from tests.services import UnavailableError

LOCK_SECONDS = 600.0
PROGRAMS = ("unshare", "nsenter", "setpriv", "dpkg", "runc", "ip", "iptables")

Engine = TypeVar("Engine")


def kept_directory(environ: Mapping[str, str], variable: str, name: str) -> Path:
    """Where programs and images are kept between runs: as `variable` says, else `name` in the user's cache."""
    if environ.get(variable):
        return Path(environ[variable])
    base = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '/root')}/.cache"
    return Path(base) / "gpu-launcher-tests" / name


@contextmanager
def locked(cache: Path, what: str, prefix: str) -> Iterator[Path]:
    """A temporary directory, while nobody else uses `cache`. Raises UnavailableError where `what` cannot run."""
    from filelock import FileLock

    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise UnavailableError(f"{what} needs root and Debian's packages")
    for program in PROGRAMS:
        if not shutil.which(program):
            raise UnavailableError(f"{what} needs {program}")
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock", timeout=LOCK_SECONDS), tempfile.TemporaryDirectory(prefix=prefix) as name:
        yield Path(name)


@contextmanager
def or_lacking(engine: AbstractContextManager[Engine], what: str) -> Iterator[Engine]:
    """`engine` while it runs; where it cannot be had, the tests that need it are skipped, or fail when strict."""
    started = False
    try:
        with engine as running:
            started = True
            yield running
    except UnavailableError as error:
        if started:
            raise
        lacking(f"{what}: {error}")


def everything(ask: Callable[..., str]) -> set[str]:
    """Containers, networks and volumes, whoever made them; `ask` runs a docker or podman command."""
    found = {f"container {name}" for name in ask("ps", "--all", "--format", "{{.Names}}").split()}
    found |= {f"network {name}" for name in ask("network", "ls", "--format", "{{.Name}}").split()}
    return found | {f"volume {name}" for name in ask("volume", "ls", "--format", "{{.Name}}").split()}
