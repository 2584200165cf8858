"""Waiting for what must come. How fast it comes is measured by tests/bench and not asserted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
DEADLINE_SECONDS = 180.0  # only what never comes costs so long


def eventually(condition: Callable[[], T], interval: float = 0.1) -> T:
    """What `condition` says as soon as that is true, or at the deadline; asked every `interval` seconds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(interval)
    return value


def wait_until(condition: Callable[[], T], what: str, interval: float = 0.1) -> T:
    """As `eventually`; fails with `what` at the deadline."""
    value = eventually(condition, interval)
    assert value, f"never came: {what}"
    return value


def has_ended(process: int) -> bool:
    """Whether the process is gone, or waits only for its parent to ask how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
