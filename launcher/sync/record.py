"""What both sides had when they were last alike. A cache: without it their bytes are compared."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from launcher import labels
from launcher.engine import Volume
from launcher.errors import NotReadyError
from launcher.state import State, write_atomically
from launcher.sync.inside import Entry

DIRECTORY = "sync"


@dataclass(slots=True)
class Record:
    """`files` is path -> (here, in the environment); of this very volume: a new one of the name is another."""

    state: State
    volume: Volume
    project: Path
    files: dict[str, tuple[Entry, Entry]] = field(default_factory=dict)

    def load(self) -> Record:
        """Read what was saved; nothing for another volume, another project or a damaged file."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            saved = json.loads((self.state.directory / DIRECTORY / f"{self.volume.name}.json").read_text())
            if saved["of"] == self._of:
                self.files = {path: (Entry(*here), Entry(*there)) for path, (here, there) in saved["files"].items()}
        return self

    def save(self) -> None:
        """Without a place to write to, the next run compares bytes."""
        content = json.dumps({"of": self._of, "files": self.files}).encode()
        with suppress(OSError, NotReadyError):
            write_atomically(self.state.subdirectory(DIRECTORY) / f"{self.volume.name}.json", content)

    @property
    def _of(self) -> list[str]:
        return [self.volume.labels[labels.SYNC], str(self.project)]


def forget(state: State, volume: str) -> None:
    """For a volume that is deleted."""
    with suppress(OSError):
        (state.directory / DIRECTORY / f"{volume}.json").unlink(missing_ok=True)
