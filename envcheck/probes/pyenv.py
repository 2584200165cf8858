"""pyenv puts a small program into PATH that chooses a Python when it is started: which one, told from files alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from envcheck.compat import version_key
from envcheck.probes.paths import entries

# https://github.com/pyenv/pyenv#understanding-python-version-selection
CHOICE = ".python-version"


def behind_shim(path: str, environ: Mapping[str, str]) -> str:
    """The Python that pyenv's `path` would start; `path` itself where it is none of pyenv's, or that is not known."""
    root = Path(path).parent.parent
    installed = entries(Path("/"), str(root / "versions")) if Path(path).parent.name == "shims" else ()
    for name in _chosen(root, environ) if installed else ():
        # "3.11" stands for its newest patch release.
        fitting = [version for version in installed if version == name or version.startswith(f"{name}.")]
        if fitting:
            return str(root / "versions" / max(fitting, key=version_key) / "bin" / Path(path).name)
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
