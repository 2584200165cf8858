"""A typed yes before anything that cannot be undone."""

from __future__ import annotations

import sys

from launcher.context import Context
from launcher.errors import LauncherError, UsageError


def ask(context: Context, question: str, unattended: str, absent: type[LauncherError] = UsageError) -> None:
    """Return when the user agrees, by --yes or by typing yes; raises UsageError, or `absent` when nobody is there."""
    if context.consent:
        return
    if not sys.stdin.isatty():
        raise absent(f"{question} Nobody is there to answer.", f"Agree beforehand: {unattended}")
    sys.stderr.write(f"{question} Type yes: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise UsageError("nothing was changed: the answer was not yes", "Run it again and type yes.")
