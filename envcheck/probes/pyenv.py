"""pyenv puts a small program into PATH that chooses a Python when it is started: which one, told from files alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# https://github.com/pyenv/pyenv#understanding-python-version-selection
CHOICE = ".python-version"


def behind_shim(path: str, environ: Mapping[str, str]) -> str:
    """The Python that pyenv's `path` would start; `path` itself where it is none of pyenv's, or that is not known."""
    root = Path(path).parent.parent
    if Path(path).parent.name != "shims" or not (root / "versions").is_dir():
        return path
    for name in _chosen(root, environ):
        # "3.11" stands for its newest patch release.
        for place in sorted((root / "versions").glob(f"{name}*"), reverse=True):
            if place.name == name or place.name.startswith(f"{name}."):
                return str(place / "bin" / Path(path).name)
    return path


def _chosen(root: Path, environ: Mapping[str, str]) -> list[str]:
    if environ.get("PYENV_VERSION"):
        return environ["PYENV_VERSION"].split(":")
    try:
        here = Path.cwd()
        files = [directory / CHOICE for directory in (here, *here.parents)]
    except OSError:  # the working directory is gone
        files = []
    for file in (*files, root / "version"):
        try:
            return file.read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            continue
    return []
