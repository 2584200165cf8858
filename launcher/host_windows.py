"""Windows paths given to --project and --mount inside WSL, as the paths they have there. Pure.

https://learn.microsoft.com/windows/wsl/filesystems
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from launcher.errors import UsageError

DRIVE = re.compile(r"([A-Za-z]):(?:[\\/]|$)")
SHARE = re.compile(r"(?:\\\\|//)(wsl\$|wsl\.localhost)[\\/]([^\\/]+)(.*)", re.IGNORECASE)
DISTRIBUTION = "WSL_DISTRO_NAME"


def translated(text: str, environ: Mapping[str, str]) -> str:
    r"""C:\work as /mnt/c/work, \\wsl.localhost\NAME\home\me as /home/me; other paths as they are.

    Raises UsageError for a Windows path outside WSL, another distribution's file, or a network share.
    """
    drive, share = DRIVE.match(text), SHARE.fullmatch(text)
    if drive is None and share is None:
        if text.startswith("\\\\"):
            raise UsageError(
                f"{text} is a Windows network share, which the engine cannot mount", "Copy it to a directory here."
            )
        return text
    here = environ.get(DISTRIBUTION)
    if here is None:
        raise UsageError(f"{text} is a Windows path, and this is not WSL", "Give the path that it has on this machine.")
    if share is not None:
        if share[2].lower() != here.lower():
            raise UsageError(
                f"{text} is in another WSL distribution than {here}", f"Run this in {share[2]}, or copy the files here."
            )
        return _slashes(share[3]) or "/"
    return f"/mnt/{text[0].lower()}/{_slashes(text[2:]).strip('/')}".rstrip("/")


def _slashes(text: str) -> str:
    return text.replace("\\", "/")
