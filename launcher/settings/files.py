"""launcher.toml and the user's config.toml: found, opened with care, parsed; each failure is one clear line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher import toml
from launcher.errors import UsageError
from launcher.host import home_directory

PROJECT_FILE = "launcher.toml"
# A file of settings is some hundred bytes; parsing what is not one must not keep anybody waiting.
MOST_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A parsed file; `text` is kept to say in which line something stands."""

    path: Path
    text: str
    table: Mapping[str, Any]

    def place(self, key: str, table: str = "") -> str:
        """The path, and the line of `key` (in `table`) where it can be told."""
        line = self._line(key, table)
        return f"{self.path}, line {line}" if line else str(self.path)

    def _line(self, key: str, table: str) -> int | None:
        name = rf"""["']?{re.escape(key)}["']?"""
        lines = self.text.splitlines()
        first = next((n for n, line in enumerate(lines) if table and _header(line) == table), 0)
        pattern = re.compile(rf"\s*{name}\s*[=.]|\s*\[+\s*{name}\s*\]|.*[{{,]\s*{name}\s*=")
        return next((n + 1 for n, line in enumerate(lines) if n >= first and pattern.match(line)), None)

    def below_header(self, table: str) -> bool:
        """True for `[table]` on a line of its own, which swallows every line after it."""
        return any(_header(line) == table for line in self.text.splitlines())


def _header(line: str) -> str:
    match = re.match(r"""\s*\[\s*["']?([^\]"']+?)["']?\s*\]""", line)
    return match[1] if match else ""


def user_file(environ: Mapping[str, str]) -> Path:
    """$XDG_CONFIG_HOME/gpu-launcher/config.toml; a relative XDG_CONFIG_HOME counts as not set, as XDG says."""
    base = environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else home_directory(environ) / ".config") / "gpu-launcher/config.toml"


def read_file(path: Path) -> SettingsFile | None:
    """The file, None where there is none; raises UsageError for what is no readable TOML file of a sensible size."""
    raw = _bytes(path)
    if raw is None:
        return None
    try:
        # Editors on Windows begin a file with a byte order mark.
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}, is not UTF-8", "Save the file as UTF-8.") from None
    try:
        return SettingsFile(path, text, toml.loads(text.replace("\r\n", "\n")))
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply", "See what it may say: launcher init --help") from None
    except ValueError as error:
        raise UsageError(
            f"{path} is not TOML: {error}", 'Write KEY = VALUE, text in quotes: memory = "16g". See https://toml.io'
        ) from None


def _bytes(path: Path) -> bytes | None:
    try:
        # Without O_NONBLOCK a named pipe would keep us waiting for somebody who writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if not path.is_symlink():
            return None
        raise UsageError(f"{path} is a link that leads nowhere", "Correct or remove it.") from None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "Make it readable, or remove it.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{path} is not a file", "Settings are a text file: launcher init")
    with os.fdopen(descriptor, "rb") as file:
        raw = file.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise UsageError(
            f"{path} is larger than {MOST_BYTES >> 10} KiB", "Settings are a short text file: launcher init"
        )
    return raw
