"""Which host directories a container may see. Links are followed first; what would hand over the machine is refused."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from launcher.errors import UsageError

# A bind mount of one of these hands the host to the container: CIS Docker Benchmark 5.5.
SENSITIVE_DIRECTORIES = (
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var",
    "/var/lib",
)
# Nothing below these is anybody's work; the engine's own storage holds everybody's.
SYSTEM_TREES = ("/boot", "/dev", "/etc", "/proc", "/sys", "/var/lib/containerd", "/var/lib/docker")
ENGINE_SOCKETS = ("containerd.sock", "docker.sock", "podman.sock")


def checked_host_path(text: str, home: Path, option: str, base: Path | None = None) -> Path:
    """Resolve a host path for a bind mount, from `base` where it is relative.

    Refuses what is missing or would expose the host. Symlinks are followed first, so that a link to `/` is judged as
    `/`.
    """
    path = _existing((base or Path()) / expanded(text), f"{option}: {text}")
    if _holds_home(path, home):
        raise UsageError(f"{option}: {text} is your whole home directory", "Mount a directory inside it instead.")
    if _is_sensitive(path) or path.name in ENGINE_SOCKETS:
        raise UsageError(
            f"{option}: {text} would hand the machine to the container", "Mount a directory of your own instead."
        )
    return path


def expanded(text: str) -> Path:
    """A path with its leading ~ or ~name replaced; an unknown name stays as it is, and is then reported as missing."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 (Path.expanduser raises for an unknown name)


def _existing(path: Path, described: str) -> Path:
    """Follow every symlink; raises UsageError for a path that leads nowhere, cannot be read or cannot be mounted."""
    try:
        resolved = path.resolve(strict=True)
        # The engine's interface is JSON: a name that is not UTF-8 arrives there as another name.
        str(resolved).encode()
    except UnicodeEncodeError:
        raise UsageError(f"{described} has a name that is not UTF-8", "Rename it; engines cannot mount it.") from None
    except FileNotFoundError:
        raise UsageError(f"{described} does not exist", f"Create it first: mkdir -p {shlex.quote(str(path))}") from None
    except (OSError, RuntimeError, ValueError) as error:
        # Path.resolve raises RuntimeError for a symlink loop before Python 3.13.
        why = getattr(error, "strerror", None) or "it is a symlink loop"
        raise UsageError(f"{described} cannot be used: {why}", "Give another path.") from None
    return resolved


def _holds_home(path: Path, home: Path) -> bool:
    return not _is_sensitive(path) and Path(os.path.realpath(home)).is_relative_to(path)


def _is_sensitive(path: Path) -> bool:
    return str(path) in SENSITIVE_DIRECTORIES or any(path.is_relative_to(tree) for tree in SYSTEM_TREES)


def checkout() -> Path | None:
    """The clone this runs from, None when installed as a package."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "bin/launcher").exists() else None


def project_directory(project: str | None, home: Path, clone: Path | None) -> Path:
    """The directory that becomes /workspace: `--project`, else the current one.

    In the launcher's own checkout it is `workspace/` below it, so that nobody's notebooks mix with the tool.
    Raises UsageError for `/`, the home directory and what is not a directory.
    """
    if project == "":
        raise UsageError("--project is empty", "Give a directory, or leave --project out for the current one.")
    try:
        chosen = expanded(project) if project else Path.cwd()
    except FileNotFoundError:
        raise UsageError(
            "the current directory no longer exists", "Change to another directory, or give --project DIR."
        ) from None
    path = _existing(chosen, f"project directory {chosen}")
    if not path.is_dir():
        raise UsageError(
            f"project {chosen} is not a directory", "Give the directory that holds your work: --project DIR."
        )
    if clone is not None and path == Path(os.path.realpath(clone)):
        return path / "workspace"
    suggestion = "mkdir -p ~/project && cd ~/project, then run this again (or give --project DIR)."
    if path == Path(os.path.realpath(home)):
        raise UsageError(f"{path} is your home directory; a container must not see all of it", suggestion)
    if _holds_home(path, home):
        raise UsageError(f"{path} holds your home directory; a container must not see all of it", suggestion)
    if _is_sensitive(path):
        raise UsageError(f"{path} belongs to the system and cannot be a project", suggestion)
    return path
