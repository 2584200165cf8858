"""The project's volume from outside: questions to inside.py in the container, and batches of files on their way."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.context import Context
from launcher.errors import LauncherError, NotReadyError
from launcher.host import identify_caller
from launcher.plan import WORKSPACE
from launcher.sync import inside
from launcher.sync.inside import STAGING, Entry
from launcher.sync.judge import COPIED, leads_outside
from launcher.tar_stream import END, StreamReader, header, member, padded
from launcher.transfer import Meter
from launcher.unpack import unpack

Placed = tuple[dict[str, "Entry | None"], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Staging:
    """Files arrive whole under another name and are moved into place: one that is cut short is never seen there."""

    context: Context
    container: str
    project: Path
    user: tuple[int, int]
    patterns: Sequence[str]

    def ask(self, action: str) -> Any:  # noqa: ANN401 (JSON)
        """Raises LauncherError with the last line of what went wrong inside."""
        command = ("/usr/bin/python3", "-I", "-S", "-c", Path(inside.__file__).read_text(encoding="utf-8"))
        arguments = (WORKSPACE, action, json.dumps(self.patterns))
        result = self.context.engine.execute(self.container, (*command, *arguments))
        if result.exit_code != 0:
            last = (result.stderr.strip().splitlines() or [f"exit code {result.exit_code}"])[-1]
            raise LauncherError(f"looking at the files inside failed: {last}", "Run this again with --debug.")
        return json.loads(result.stdout)

    def entries(self) -> dict[str, Entry]:
        """What lies in the environment; what an interrupted run left on its way is removed."""
        return {path: Entry(*row) for path, row in self.ask("list").items()}

    def digests(self, paths: Sequence[str]) -> dict[str, str | None]:
        """Hex SHA-256 of files inside."""
        with self._cleared_on_failure():
            self._put(paths)
            return dict(self.ask("digest"))

    def place(self, request: dict[str, Any], meter: Meter) -> Placed:
        """Bring files in, as inside.place has it; those without a number are deleted there."""
        numbered = [(self.project / path, number) for number, path, _ in request["files"] if number is not None]
        with self._cleared_on_failure():
            self._put(request, numbered, meter)
            placed, refused = self.ask("place")
        return {path: Entry(*row) if row else None for path, row in placed.items()}, refused

    def fetch(self, request: dict[str, Any], meter: Meter) -> tuple[list[Entry | None], Placed]:
        """Bring files out; (what they were inside, what became of them here)."""
        with self._cleared_on_failure():
            self._put([path for _, path, _ in request["files"]])
            rows = self.ask("collect")
            chunks = meter.measure(self.context.engine.get_tree(self.container, f"{WORKSPACE}/{STAGING}/files"))
            placed = self._unpack(chunks, request["files"])
        self.ask("clear")
        return [Entry(*row) if row else None for row in rows], placed

    def _unpack(self, chunks: Iterator[bytes], files: Sequence[Sequence[Any]]) -> Placed:
        try:
            with tempfile.TemporaryDirectory(prefix=inside.OWN_PREFIX, dir=self.project) as directory:
                top = unpack(StreamReader(chunks), Path(directory), self.owner_here).top
                wanted = [row for row in files if _is_sound(top, row[0], row[1])]
                return inside.place(str(self.project), str(top), {"directories": [], "files": wanted})
        except OSError as error:
            raise NotReadyError(
                f"cannot write in {self.project}: {error.strerror}", "Correct that, then run this again."
            ) from None

    @property
    def owner_here(self) -> tuple[int, int] | None:
        """Whose files are made here by root: the project's owner's, as all of the project is."""
        caller = identify_caller(self.project, self.context.environ)
        return (caller.uid, caller.gid) if os.getuid() == 0 else None

    @contextmanager
    def _cleared_on_failure(self) -> Iterator[None]:
        # Not after a signal: it may have cut a request short, and then nothing may be asked of the engine.
        try:
            yield
        except LauncherError:
            with suppress(LauncherError):
                self.ask("clear")
            raise

    def _put(self, request: object, files: Iterable[tuple[Path, int]] = (), meter: Meter | None = None) -> None:
        chunks = self._tar(json.dumps(request).encode(), files)
        self.context.engine.put_tree(self.container, WORKSPACE, meter.measure(chunks) if meter else chunks)

    def _tar(self, request: bytes, files: Iterable[tuple[Path, int]]) -> Iterator[bytes]:
        uid, gid = self.user
        for name in (STAGING, f"{STAGING}/files"):
            yield header(self._owned(name, tarfile.DIRTYPE))
        entry = self._owned(f"{STAGING}/request.json", tarfile.REGTYPE)
        entry.size = len(request)
        yield header(entry)
        yield from padded(io.BytesIO(request), entry.size, entry.name)
        for path, number in files:
            # One that is gone by now is refused by its missing number.
            if path.exists() or path.is_symlink():
                yield from member(path, f"{STAGING}/files/{number}", uid, gid, lambda _: None)
        yield END

    def _owned(self, name: str, kind: bytes) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(name)
        entry.uid, entry.gid = self.user
        entry.type, entry.mode = kind, 0o700
        return entry


def _is_sound(top: Path, number: int, path: str) -> bool:
    """The container is not trusted: what it sends under a number may be something else by now."""
    entry = inside.entry_of(str(top / str(number)))
    return entry is not None and entry.kind in COPIED and not leads_outside(path, entry.target)
