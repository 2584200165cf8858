"""Reads the .toml tables beside this file, also on Python 3.10 where the standard library has no TOML parser.

The fallback understands only what these tables use: `[[name]]` and `[name]` headers, and on one line each
strings, integers, booleans and arrays of strings. A test holds it equal to tomllib on every table.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any


def load_table(name: str) -> dict[str, Any]:
    """The parsed table `name`. Raises OSError or ValueError; both mean a broken installation."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    for module in ("tomllib", "tomli"):
        try:
            parser = import_module(module)
        except ImportError:
            continue
        parsed: dict[str, Any] = parser.loads(text)
        return parsed
    return parse_subset(text)


def parse_subset(text: str) -> dict[str, Any]:
    """Parse the subset described above. Raises ValueError naming the line."""
    document: dict[str, Any] = {}
    target = document
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("[["):
            target = {}
            document.setdefault(stripped.strip("[]"), []).append(target)
        elif stripped.startswith("["):
            target = document.setdefault(stripped.strip("[]"), {})
        else:
            key, separator, value = stripped.partition("=")
            if not separator:
                raise ValueError(f"line {number}: not a key: {line}")
            # These values are JSON as well as TOML, as long as the tables keep to basic strings.
            target[key.strip()] = json.loads(value)
    return document
