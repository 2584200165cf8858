"""Reading files below an injected root: absent, unreadable and undecodable all mean "not known"."""

from __future__ import annotations

from pathlib import Path


def below(root: Path, path: str) -> Path:
    """`path` (absolute) below `root`."""
    return root / path.lstrip("/")


def read_text(root: Path, path: str) -> str | None:
    """The stripped text, or None."""
    try:
        return below(root, path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def entries(root: Path, path: str) -> tuple[str, ...]:
    """Sorted names in a directory, empty where it cannot be listed."""
    try:
        return tuple(sorted(entry.name for entry in below(root, path).iterdir()))
    except OSError:
        return ()


def exists(root: Path, path: str) -> bool:
    """Whether something is there; a directory that may not be entered counts as nothing."""
    try:
        return below(root, path).exists()
    except OSError:
        return False
