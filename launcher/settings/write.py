"""`launcher init`: a launcher.toml to begin with, which never replaces one unasked."""

from __future__ import annotations

import os
from pathlib import Path

from launcher.errors import NotReadyError, UsageError
from launcher.settings.documents import template
from launcher.settings.files import PROJECT_FILE
from launcher.state import write_atomically


def write_template(project: Path, mode: str | None, force: bool) -> Path:
    """Write it and return its path, owned like the project.

    Raises UsageError when one is there and `force` is not given, and for a link, which may lead anywhere.
    """
    path = project / PROJECT_FILE
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path} is a link or no file: it is not written to", "Remove it first.")
    if path.exists() and not force:
        raise UsageError(f"{path} exists already", "Change it with an editor; --force replaces it.")
    content = template(mode).encode()
    try:
        if force:
            write_atomically(path, content, 0o644)
        else:
            _create(path, content)
        if os.geteuid() == 0:
            owner = project.stat()
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    except OSError as error:
        raise NotReadyError(f"cannot write {path}: {error.strerror}", "Make room or give another --project.") from None
    return path


def _create(path: Path, content: bytes) -> None:
    """Fails where somebody else made one meanwhile."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
        file.write(content)
