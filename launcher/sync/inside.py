"""One side of a copied project: what lies there, and what is put there. Standard library alone.

The launcher runs this file in an environment, by `python3 -c` on its text, and imports it for the directory here.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# What is on its way lies in the project itself: only on the same file system is a move into place one step.
STAGING = ".gpu-launcher-sync"
OWN_PREFIX = ".gpu-launcher-"


class Entry(NamedTuple):
    """What a path is: `kind` is file, directory, link, unreadable or other (a pipe, socket, device).

    Bytes, time of the last change in ns, permission bits and a link's target; only what says that it changed is set.
    """

    kind: str
    size: int = 0
    changed: int = 0
    mode: int = 0
    target: str = ""


def entry_of(path: str) -> Entry | None:
    """None where nothing is."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(found.st_mode):
        return Entry("directory")
    if stat.S_ISLNK(found.st_mode):
        return Entry("link", target=os.readlink(path))  # noqa: PTH115 (in a container names may be any bytes)
    if not stat.S_ISREG(found.st_mode):
        return Entry("other")
    kind = "file" if os.access(path, os.R_OK) else "unreadable"
    return Entry(kind, found.st_size, found.st_mtime_ns, found.st_mode & 0o777)


def entries(root: str, patterns: Sequence[str]) -> dict[str, Entry]:
    """Path below `root` -> what it is, links not followed. Raises OSError where `root` itself cannot be read."""
    found: dict[str, Entry] = {}
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        try:
            names = os.listdir(os.path.join(root, directory))  # noqa: PTH118, PTH208 (a million Paths are slow)
        except OSError:
            if not directory:
                raise
            found[directory] = Entry("unreadable")
            continue
        for name in names:
            path = f"{directory}/{name}" if directory else name
            entry = entry_of(f"{root}/{path}")
            if entry is None or is_ignored(path, entry.kind == "directory", patterns):
                continue
            found[path] = entry
            if entry.kind == "directory":
                waiting.append(path)
    return found


def is_ignored(path: str, directory: bool, patterns: Sequence[str]) -> bool:
    """The last pattern that fits decides; one with a slash is of the whole path, another of the name alone."""
    name = path.rpartition("/")[2]
    ignored = False
    for pattern in patterns:
        text = pattern.removeprefix("!")
        fits = directory or not text.endswith("/")
        text = text.rstrip("/")
        if fits and fnmatch.fnmatchcase(path if "/" in text else name, text.lstrip("/")):
            ignored = not pattern.startswith("!")
    return ignored or name.startswith(OWN_PREFIX)


def digest(path: str) -> str | None:
    """Hex SHA-256; None where it cannot be read."""
    result = hashlib.sha256()
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            while chunk := file.read(1 << 20):
                result.update(chunk)
    except OSError:
        return None
    return result.hexdigest()


def place(root: str, staged: str, request: Mapping[str, Any]) -> tuple[dict[str, Entry | None], dict[str, str]]:
    """Make directories, move the numbered files of `staged` into place, delete; (what is there now, what was refused).

    What is no longer as `request` expects is left alone: somebody changed it meanwhile.
    """
    placed: dict[str, Entry | None] = {}
    refused: dict[str, str] = {}

    def attempt(path: str, expected: Sequence[Any] | None, number: int | None) -> None:
        target = f"{root}/{path}"
        if entry_of(target) != (None if expected is None else tuple(expected)):
            refused[path] = "it was changed meanwhile"
            return
        if number is None:
            os.unlink(target)  # noqa: PTH108
            _remove_empty(root, path)
        else:
            os.replace(f"{staged}/{number}", target)  # noqa: PTH105
        placed[path] = entry_of(target)

    for number, path, expected in [*(("", path, None) for path in request["directories"]), *request["files"]]:
        try:
            if number == "":
                os.makedirs(f"{root}/{path}", exist_ok=True)  # noqa: PTH103
            else:
                attempt(path, expected, number)
        except OSError as error:
            refused[path] = str(error.strerror)
    return placed, refused


def _remove_empty(root: str, path: str) -> None:
    """Directories that the last deletion left empty."""
    try:
        while path := path.rpartition("/")[0]:
            os.rmdir(f"{root}/{path}")  # noqa: PTH106
    except OSError:
        return


def collect(root: str, paths: Sequence[str]) -> list[Entry | None]:
    """Link them by number below the staging directory, without copying a byte; None for what cannot be had."""
    found: list[Entry | None] = []
    for number, path in enumerate(paths):
        entry = entry_of(f"{root}/{path}")
        try:
            os.link(f"{root}/{path}", f"{root}/{STAGING}/files/{number}", follow_symlinks=False)
        except OSError:
            entry = None
        found.append(entry)
    return found


def main(root: str, action: str, patterns: str) -> None:
    """Answer one question of the launcher with JSON on stdout; all but `collect` also clear the staging directory."""
    staging = f"{root}/{STAGING}"
    request: Any = None
    answer: Any = None
    if action in ("place", "digest", "collect"):
        with open(f"{staging}/request.json") as file:  # noqa: PTH123
            request = json.load(file)
    if action == "list":
        answer = entries(root, json.loads(patterns))
    elif action == "place":
        answer = place(root, f"{staging}/files", request)
    elif action == "digest":
        answer = {path: digest(f"{root}/{path}") for path in request}
    elif action == "collect":
        answer = collect(root, request)
    if action != "collect":
        shutil.rmtree(staging, ignore_errors=True)
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
