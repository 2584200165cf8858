"""TOML by the standard library, or by tomli on Python 3.10."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from launcher.errors import ParserMissingError


def loads(text: str) -> dict[str, Any]:
    """Parse a document; ValueError for what is not TOML, ParserMissingError where no parser is installed."""
    for name in ("tomllib", "tomli"):
        try:
            parser = import_module(name)
        except ImportError:
            continue
        document: dict[str, Any] = parser.loads(text)
        return document
    raise ParserMissingError("this Python cannot read TOML", "Use Python 3.11 or newer, or install tomli.")
