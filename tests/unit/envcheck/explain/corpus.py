"""The cases: what programs really print, by the cause it shows. `=== causes | source` begins each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    """`causes` are those that must be named, the root cause first; empty where no fault of the environment is shown."""

    causes: tuple[str, ...]
    source: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.causes[0] if self.causes else 'none'}: {self.text.strip()[:60]!r}"


def cases(pattern: str) -> list[Case]:
    """Every case of the files of that name."""
    found = [case for path in sorted(CASES.glob(pattern)) for case in _read(path)]
    assert found, pattern
    return found


def _read(path: Path) -> list[Case]:
    blocks = re.split(r"(?m)^=== ", path.read_text(encoding="utf-8"))[1:]
    return [_case(*block.split("\n", 1)) for block in blocks]


def _case(head: str, text: str) -> Case:
    causes, _, source = head.partition(" | ")
    return Case(tuple(cause for cause in causes.split(", ") if cause != "none"), source.strip(), text)
