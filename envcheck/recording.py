"""Reads what `envcheck record` wrote. A recording may come from anybody, so nothing in it is trusted."""

from __future__ import annotations

import json

from envcheck.codec import DecodeError, decode
from envcheck.facts import Facts

# Recordings of large machines have some 30 kB.
LARGEST = 16 << 20


class RecordingError(Exception):
    """The file cannot be read as a recording; the message says why."""


def load_recording(path: str) -> Facts:
    """The facts in the file. Raises RecordingError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (also /dev/stdin, and file descriptors of a shell)
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise RecordingError(f"it is larger than {LARGEST >> 20} MiB")
        return _facts(content)
    except OSError as error:
        raise RecordingError(error.strerror or str(error)) from error
    except RecursionError:
        raise RecordingError("it is nested too deeply") from None


def _facts(content: bytes) -> Facts:
    if not content.strip():
        raise RecordingError("it is empty")
    try:
        document = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise RecordingError("it is not text in UTF-8") from None
    except ValueError as error:
        raise RecordingError(f"it is not JSON, or not all of it: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("facts"), dict):
        raise RecordingError("it holds no object `facts`")
    try:
        return decode(Facts, document["facts"])
    except DecodeError as error:
        raise RecordingError(str(error)) from None
