"""What of a project is not copied: the defaults, and the project's `.launcherignore`."""

from __future__ import annotations

from pathlib import Path

from launcher.errors import UsageError

FILE = ".launcherignore"
# What a machine makes for itself. A .git that two sides write to is soon a broken repository: `!.git` takes it along.
DEFAULTS = (
    ".git", "__pycache__", "*.pyc", ".venv", "venv", "node_modules", ".ipynb_checkpoints", ".cache", ".mypy_cache",
    ".pytest_cache", ".ruff_cache", ".tox", ".Trash-*", ".DS_Store",
)  # fmt: skip
# They go to the environment as one argument, of which Linux takes 128 KiB.
MOST_BYTES = 32 << 10


def read_patterns(project: Path) -> tuple[str, ...]:
    """The defaults and the file's lines; raises UsageError for a file that cannot be read as such."""
    path = project / FILE
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file", "Write one pattern a line, such as: data/")
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"{path} cannot be read: {why}", "Write one pattern a line, such as: data/") from None
    if len(text.encode()) > MOST_BYTES or "\0" in text:
        raise UsageError(f"{path} is no list of patterns of at most 32 KiB", "Write one pattern a line, such as: data/")
    lines = (line.strip() for line in text.splitlines())
    return (*DEFAULTS, *(line for line in lines if line and not line.startswith("#")))
