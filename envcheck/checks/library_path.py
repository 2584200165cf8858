"""LD_LIBRARY_PATH: what lies in it, and the command that takes a directory out of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from envcheck.facts import Facts

VARIABLE = "LD_LIBRARY_PATH"


def without(facts: Facts, directories: Iterable[str]) -> tuple[str, ...]:
    """The one command that takes `directories` out of LD_LIBRARY_PATH; none where they are not in it."""
    wrong = {PurePath(directory) for directory in directories}
    parts = [part for part in facts.environment.get(VARIABLE, "").split(":") if part]
    left = [part for part in parts if PurePath(part) not in wrong]
    if len(left) == len(parts):
        return ()
    return (f"export {VARIABLE}={':'.join(left)}" if left else f"unset {VARIABLE}",)


def lying_in_it(facts: Facts, beginning: str) -> list[str]:
    """The libraries in directories of LD_LIBRARY_PATH whose file name begins so."""
    return [path for path in facts.shadowing if PurePath(path).name.startswith(beginning)]


def setting(facts: Facts) -> list[str]:
    """LD_LIBRARY_PATH as evidence."""
    value = facts.environment.get(VARIABLE)
    return [f"{VARIABLE}={value}"] if value else []
