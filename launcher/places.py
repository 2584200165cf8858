"""Directories of the engine's machine: this one's, or another's, where paths and uids of here mean nothing."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from pathlib import Path, PurePosixPath

from launcher.context import Context
from launcher.engine import EngineInfo
from launcher.errors import UsageError
from launcher.host import Caller, identify_caller
from launcher.host_paths import checked_host_path, project_directory, refuse_far_path
from launcher.host_windows import translated
from launcher.remote.far_side import FarPath
from launcher.spec import UpRequest


def project(context: Context, given: str | None, sync: bool) -> Path:
    """The directory that becomes /workspace, on the engine's machine, or here where `sync` copies it there.

    Raises UsageError where it is missing or a container must not see all of it.
    """
    given = translated(given, context.environ) if given else given
    if context.endpoint.local or sync:
        return project_directory(given, context.home, context.checkout)
    text = given or str(Path.cwd())
    found = _far(context, text, f"project {text}")
    hint = "Give a directory of that machine (--project DIR), or copy this one there: launcher up --sync"
    if found.kind != "directory":
        what = "does not exist" if found.kind == "missing" else "is not a directory"
        raise UsageError(f"project {text} {what} on {context.endpoint.place}, where the engine is", hint)
    return Path(found.resolved)


def mount(context: Context, text: str, where: str, base: Path | None) -> Path:
    """The host path of a mount, resolved where the engine is; see spec.HostPath."""
    text = translated(text, context.environ)
    if context.endpoint.local:
        return checked_host_path(text, context.home, where, base)
    found = _far(context, text, f"{where}: {text}")
    if found.kind == "missing":
        place = context.endpoint.place
        raise UsageError(f"{where}: {text} does not exist on {place}, where the engine is", f"Create it on {place}.")
    return Path(found.resolved)


def caller(context: Context, request: UpRequest, info: EngineInfo) -> tuple[Caller, str | None]:
    """Whose files the container works on, and a line to say where that needs one.

    Over ssh:// it is who logs in there, and for root the project's owner, as on this machine.
    """
    if context.remote is None or (request.sync and context.remote.far.uid == 0):
        here = context.endpoint.local or request.sync
        found = identify_caller(request.project if here else Path("/"), context.environ)
    else:
        far = context.remote.far
        found = Caller(far.uid, far.gid, far.groups, Path(far.home))
        if found.is_root:
            owner = context.remote.paths((str(request.project),))[0]
            found = Caller(owner.uid, owner.gid, (), found.home)
    if info.rootless and info.podman:
        # The one uid of outside is given the caller's number inside; other groups of theirs cannot be.
        return replace(found, groups=()), None
    if info.rootless and not found.is_root:
        # Uid 0 inside is the caller outside, and any other uid is one of the caller's subordinate ones.
        return Caller(0, 0, (), found.home), "The engine is rootless: uid 0 in the container is you outside."
    if found.is_root:
        return found, "The project belongs to root, so the container runs as root without capabilities."
    return found, None


def _far(context: Context, text: str, described: str) -> FarPath:
    """The path on the engine's machine; where nobody can look (tcp://) as it is written, and the engine judges."""
    place, remote = context.endpoint.place, context.remote
    if remote is None:
        if not text.startswith("/"):
            raise UsageError(f"{described} is looked for on {place}: give an absolute path", "Example: /home/me/work")
        found = FarPath(text, "directory", posixpath.normpath(text))
        home = PurePosixPath("/nonexistent")
    else:
        found, home = remote.paths((_absolute(text, remote.far.home),))[0], PurePosixPath(remote.far.home)
    refuse_far_path(PurePosixPath(found.resolved), home, described, place)
    return found


def _absolute(text: str, home: str) -> str:
    """Relative paths are below the home directory there, as scp has it: no directory there is the current one."""
    return text if text.startswith(("/", "~")) else posixpath.join(home, text)
