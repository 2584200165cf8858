"""Environments for measuring: a home, a project and names of their own, removed at the end."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from launcher import labels
from tests.bench.figure import quiet

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = str(ROOT / "bin/launcher")


@dataclass(slots=True)
class Bench:
    """Runs bin/launcher for a user whose home is `directory`."""

    directory: Path
    names: list[str] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
        return own | {"HOME": str(self.directory)}

    def launcher(self, *arguments: str) -> str:
        return quiet(LAUNCHER, *arguments, cwd=str(self.directory / "project"), environ=self.environ)

    def up(self, mode: str, *arguments: str) -> dict[str, Any]:
        name = f"bench-{secrets.token_hex(3)}"
        self.names.append(name)
        result: dict[str, Any] = json.loads(self.launcher("up", name, "--mode", mode, "--yes", "--json", *arguments))
        return result

    def remove(self, name: str) -> None:
        self.launcher("rm", name, "--yes")
        self.names.remove(name)


@contextmanager
def bench() -> Iterator[Bench]:
    """A project that belongs to an ordinary user; whatever was started is removed."""
    with tempfile.TemporaryDirectory(prefix="gl-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "project").mkdir()
        if os.getuid() == 0:
            os.chown(directory / "project", 1000, 1000)
        made = Bench(directory)
        try:
            yield made
        finally:
            for left in list(made.names):
                made.remove(left)


@contextmanager
def simulated(count: int) -> Iterator[None]:
    """Environments that are down: volumes with an environment's labels, which is all that `ls` goes by then."""
    client = docker.from_env()
    owned = {labels.ROLE: labels.ROLE_ENVIRONMENT, labels.MODE: "jupyter", labels.PORT: "0", labels.OWNER: "0"}
    made = []
    try:
        for _ in range(count):
            name = f"bench-{secrets.token_hex(3)}"
            made.append(client.volumes.create(f"gl-{name}", labels={**owned, labels.NAME: name}))
        yield
    finally:
        for volume in made:
            volume.remove()
        client.close()
