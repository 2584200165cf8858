"""A project and its copy in an environment, as two directories."""

from __future__ import annotations

import os
import time
from pathlib import Path

from launcher import lifecycle
from launcher.context import Context
from launcher.sync.run import Outcome, Wish, synchronise
from tests.contract.copying_engine import CopyingEngine

SEND = Wish()


class Sides:
    """The project `here`, the environment's copy `there`, and `sync` between them."""

    def __init__(self, engine: CopyingEngine, context: Context, here: Path) -> None:
        self.engine, self.context, self.here, self.there = engine, context, here, engine.inside

    def sync(self, wish: Wish = SEND) -> Outcome:
        return synchronise(self.context, lifecycle.find(self.context, "demo"), wish)

    def content(self, side: Path) -> dict[str, str]:
        assert not [path for path in side.iterdir() if path.name.startswith(".gpu-launcher-")]
        files = [path for path in sorted(side.rglob("*")) if path.is_file() and not path.is_symlink()]
        return {str(path.relative_to(side)): path.read_text() for path in files}


def write(path: Path, text: str) -> None:
    """With a time that no earlier write had, whatever the clock's grain."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(time.time_ns(), time.time_ns()))
