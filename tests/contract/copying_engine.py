"""An engine in memory whose containers see one real directory as /workspace: only the way there is simulated."""

from __future__ import annotations

import io
import posixpath
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from launcher.engine import ExecResult
from launcher.plan import WORKSPACE
from tests.contract.fake_engine import FakeEngine


@dataclass
class CopyingEngine(FakeEngine):
    """`inside` is /workspace; `before` is called ahead of each question (its action); `sent`: bytes of each tar."""

    inside: Path = Path()
    before: Callable[[str], None] = lambda action: None
    sent: list[int] = field(default_factory=list)

    def put_tree(self, container: str, directory: str, tar: Iterable[bytes]) -> None:
        content = b"".join(tar)
        self.sent.append(len(content))
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(self._at(directory))  # noqa: S202 (our own)

    def get_tree(self, container: str, path: str) -> Iterator[bytes]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(self._at(path), posixpath.basename(path))
        yield buffer.getvalue()

    def execute(self, name: str, command: tuple[str, ...]) -> ExecResult:
        if WORKSPACE not in command:
            return super().execute(name, command)
        self.before(command[command.index(WORKSPACE) + 1])
        argv = [str(self.inside) if word == WORKSPACE else word for word in command]
        done = subprocess.run([sys.executable, *argv[1:]], capture_output=True, text=True)
        return ExecResult(done.returncode, done.stdout, done.stderr)

    def _at(self, path: str) -> Path:
        return self.inside / posixpath.relpath(path, WORKSPACE)
