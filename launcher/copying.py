"""`cp`: files and directories between this machine and an environment, by the engine's archive calls."""

from __future__ import annotations

import os
import posixpath
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from launcher.context import Context
from launcher.environments import Environment
from launcher.errors import LauncherError, UsageError
from launcher.host import identify_caller
from launcher.lifecycle import find, require_container
from launcher.plan import CACHE, DATA, HOME, WORKSPACE
from launcher.spec import NAME_PATTERN
from launcher.storage import PathStat
from launcher.tar_stream import EMPTY, StreamReader, owned_by, tar_of, whole_size
from launcher.transfer import Meter
from launcher.unpack import settle, unpack

STREAM = "-"


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a copy; `environment` is None on this machine and "" where the name was left out."""

    path: str
    environment: str | None = None


def parse_side(text: str) -> Side:
    """`NAME:PATH`, `:PATH` or a path of this machine (`./a:b` for one with a colon).

    Inside, a relative path counts from /workspace and ~ is the home.
    """
    name, colon, path = text.partition(":")
    if not colon or not (name == "" or NAME_PATTERN.fullmatch(name)):
        return Side(text)
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    return Side(posixpath.join(WORKSPACE, path), name)


def copy(context: Context, source: str, destination: str) -> int:
    """Copy and return how many bytes went over; raises UsageError for sides that cannot be meant."""
    ends = parse_side(source), parse_side(destination)
    if (ends[0].environment is None) == (ends[1].environment is None):
        raise UsageError(
            "one of the two must be in an environment, NAME:PATH, and the other on this machine",
            "Example: launcher cp results.csv NAME:/workspace",
        )
    end = ends[0] if ends[0].environment is not None else ends[1]
    environment = require_container(find(context, end.environment or None))
    inside = _Inside(context, environment)
    if end is ends[0]:
        return inside.fetch(end.path, destination)
    return inside.send(source, end.path)


@dataclass(frozen=True, slots=True)
class _Inside:
    """The environment's side."""

    context: Context
    environment: Environment

    @property
    def name(self) -> str:
        return self.environment.name

    @property
    def container(self) -> str:
        return self.environment.engine_name

    def send(self, source: str, path: str) -> int:
        uid, gid = container_user(self.context, self.environment)
        directory, name = self._target(source, path)
        self._write(directory, (EMPTY,))
        if source == STREAM:
            chunks, whole = owned_by(sys.stdin.buffer, uid, gid), 0
        else:
            say = self.context.progress.say
            whole = whole_size(Path(source))
            chunks = tar_of(Path(source), name, uid, gid, lambda left: say(f"left out, not a file: {left}"))
        meter = Meter(self.context.progress, f"Copying to {self.name}", whole)
        self._write(directory, meter.measure(chunks))
        return whole or meter.passed

    def _target(self, source: str, path: str) -> tuple[str, str]:
        """The directory to unpack in, and the name there; empty for a directory's content."""
        path, found = self._resolved(path)
        if source == STREAM or source.endswith(("/.", "/./")) or source == ".":
            if found is None or found.kind != "directory":
                raise UsageError(f"there is no directory {path} in {self.name}", "Make it, or choose another.")
            return path, ""
        _present(source)
        if found is not None and found.kind == "directory":
            path = posixpath.join(path, Path(source).resolve().name)
            found = self.context.engine.path_stat(self.container, path)
        elif path.endswith("/") and not Path(source).is_dir():
            raise UsageError(f"there is no directory {path} in {self.name}", "Leave out the last /, or make it.")
        self._refuse_other_kind(source, path, found)
        directory, name = posixpath.split(path.rstrip("/"))
        _, parent = self._resolved(directory)
        if parent is None or parent.kind != "directory":
            raise UsageError(f"there is no directory {directory} in {self.name}", "Make it, or choose another.")
        return directory, name

    def _refuse_other_kind(self, source: str, path: str, found: PathStat | None) -> None:
        if found is not None and (found.kind == "directory") != Path(source).is_dir():
            kind, other = ("directory", "file") if found.kind == "directory" else ("file", "directory")
            raise UsageError(
                f"{path} in {self.name} is a {kind}, and {source} is a {other}", "Choose another name there."
            )

    def _write(self, directory: str, tar: Iterable[bytes]) -> None:
        try:
            self.context.engine.put_tree(self.container, directory, tar)
        except LauncherError as error:
            if "read-only" not in error.cause:
                raise
            raise UsageError(
                f"{directory} in {self.name} is read-only",
                f"Copy to {WORKSPACE}, {HOME}, {CACHE}, {DATA}, /tmp or a --mount without :ro.",
            ) from None

    def fetch(self, path: str, destination: str) -> int:
        contents = path.endswith("/.")
        path, found = self._resolved(path)
        if found is None:
            raise UsageError(f"there is no {path} in {self.name}", f"See: launcher exec {self.name} -- ls")
        meter = Meter(self.context.progress, f"Copying from {self.name}", found.bytes if found.kind == "file" else 0)
        chunks = meter.measure(self.context.engine.get_tree(self.container, path))
        if destination == STREAM:
            _to_stdout(chunks)
            return meter.passed
        final = _final(destination, found, contents)
        caller = identify_caller(final.parent, self.context.environ)
        owner = (caller.uid, caller.gid) if os.getuid() == 0 else None
        # On the destination's own file system, where a move is one step.
        beside = final if final.is_dir() else final.parent
        with tempfile.TemporaryDirectory(prefix=".gpu-launcher-", dir=beside) as staging:
            unpacked = unpack(StreamReader(chunks), Path(staging), owner)
            settle(unpacked, final)
        return unpacked.bytes

    def _resolved(self, path: str) -> tuple[str, PathStat | None]:
        """The path and what is there; a link is followed, as the engine resolved it."""
        directory = "/" if path.endswith("/") and path.strip("/") else ""
        path = posixpath.normpath(path)
        found = self.context.engine.path_stat(self.container, path)
        if found is not None and found.kind == "link":
            path = found.target
            found = self.context.engine.path_stat(self.container, path)
        return path + directory, found


def container_user(context: Context, environment: Environment) -> tuple[int, int]:
    """The uid and gid that own what is brought in."""
    container = context.engine.container(environment.engine_name)
    uid, _, gid = (container.user if container else "").partition(":")
    if not (uid.isdecimal() and gid.isdecimal()):
        raise LauncherError(
            f"the engine does not say which user {environment.name} runs as", "Make it again: launcher up"
        )
    return int(uid), int(gid)


def _present(source: str) -> None:
    if not Path(source).exists():
        raise UsageError(f"there is no {source} here", "Check the path: it counts from the current directory.")


def _final(destination: str, found: PathStat, contents: bool) -> Path:
    """The path that will hold the copy; raises UsageError where it cannot be."""
    given = Path(destination)
    if given.is_dir():
        final = given if contents else given / (found.name.strip("/") or "root")
    elif destination.endswith("/") and found.kind != "directory":
        raise UsageError(f"there is no directory {destination} here", "Make it, or leave out the last /.")
    else:
        final = given.resolve() if given.is_symlink() else given
    if not final.parent.is_dir():
        raise UsageError(f"there is no directory {final.parent} here", "Make it, or choose another.")
    if final.exists() and final.is_dir() != (found.kind == "directory"):
        kind, other = ("directory", "file") if final.is_dir() else ("file", "directory")
        raise UsageError(f"{final} is a {kind} here and a {other} there", "Choose another name.")
    return final


def _to_stdout(chunks: Iterable[bytes]) -> None:
    if sys.stdout.isatty():
        raise UsageError("a tar archive would go to the terminal", "Example: launcher cp NAME:/workspace - | tar t")
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
