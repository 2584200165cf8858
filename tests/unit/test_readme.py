"""What the README promises of tests exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "README.md").read_text()))
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) >= 20
    assert not {name for name in named if f"def {name}(" not in sources}


def test_every_complaint_has_a_row() -> None:
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| [^|]+ \| `[^`]+` \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows == [str(number) for number in range(1, 26)]
