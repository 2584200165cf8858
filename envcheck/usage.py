"""Wrong usage in two lines: what is wrong, and what to type instead."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import NoReturn

from envcheck.exits import USAGE

CHOICE = "invalid choice: "
UNKNOWN = "unrecognized arguments: "
# Seconds, and what they are for.
SECONDS = {"ENVCHECK_TIMEOUT": "60", "ENVCHECK_SCAN_SECONDS": "10"}


class Parser(argparse.ArgumentParser):
    """Names the nearest word that would have been right. `words` are commands that stand before every option."""

    words: tuple[str, ...] = ()

    def error(self, message: str) -> NoReturn:
        """Two lines on standard error, exit code 2."""
        refuse(message, self._next(message))
        self.exit(USAGE)

    def _next(self, message: str) -> str:
        if CHOICE in message:
            choices = [word for action in self._actions for word in action.choices or ()]
            return closest(message.split(CHOICE)[1].split("'")[1], choices) or f"one of: {', '.join(choices)}"
        wrong = message.removeprefix(UNKNOWN).split()[0] if message.startswith(UNKNOWN) else ""
        if wrong in self.words:
            return f"the command comes first: {self.prog} {wrong} ..."
        options = [option for action in self._actions for option in action.option_strings]
        return closest(wrong, [*options, *self.words]) or f"{self.prog} --help"


def refuse(what: str, following: str) -> int:
    """Say what is wrong and what to do instead; the exit code for it."""
    print(f"envcheck: {what}", file=sys.stderr)
    print(f"  next: {following}", file=sys.stderr)
    return USAGE


def closest(word: str, known: Iterable[str]) -> str | None:
    """A question after the word that was probably meant."""
    import difflib

    found = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {found[0]}?" if found else None


def wrong_setting(environ: Mapping[str, str], *, torch: bool) -> tuple[str, str] | None:
    """What is wrong with an ENVCHECK_ variable, and what to do. ENVCHECK_PYTHON counts only where torch is needed."""
    for name, example in SECONDS.items():
        value = environ.get(name)
        if value and not _is_time(value):
            return (
                f"{name}={value} is no number of seconds above zero",
                f"unset {name}, or for example {name}={example}",
            )
    python = environ.get("ENVCHECK_PYTHON")
    if torch and python and shutil.which(python, path=environ.get("PATH")) is None:
        following = "unset ENVCHECK_PYTHON, or set it to the path of the Python that has PyTorch"
        return f"ENVCHECK_PYTHON={python} is no program that can be run", following
    return None


def _is_time(value: str) -> bool:
    try:
        return 0 < float(value) < math.inf
    except ValueError:
        return False
