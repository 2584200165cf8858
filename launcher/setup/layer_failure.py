"""Why a project's packages could not be installed: apt's and pip's words turned into one cause."""

from __future__ import annotations

import re
from collections.abc import Sequence

from launcher.errors import LauncherError
from launcher.progress import Progress
from launcher.setup.failure import NOT_READY, build_error, diagnose

TITLE = "the project's packages could not be installed"
FAILED = 1
# BuildKit's step number and seconds.
PREFIX = re.compile(r"^#\d+ (?:\d+\.\d+ )?")
CONSTRAINT = re.compile(r"\(constraint\) ([\w.-]+)==(\S+)")
DEPENDS = re.compile(r"(?:The user requested (?!\(constraint\))|^\s+)(\S+(?: \S+ depends on .+)?)$")
# Pattern, cause and next step, with the groups of the pattern.
RULES: tuple[tuple[str, str, str], ...] = (
    (
        r"E: Unable to locate package (\S+)",
        "Debian has no package {0}",
        "Correct the name in apt, or take it out: https://packages.debian.org lists them all",
    ),
    (
        r"E: Package '?(\S+?)'? has no installation candidate",
        "the Debian package {0} cannot be installed by itself",
        "Name the package that provides it",
    ),
    (
        r"E: Version '(\S+)' for '(\S+)' was not found",
        "Debian has no version {0} of {1}",
        "Give a version that its archive has, or none",
    ),
    (
        r"E: Packages need to be removed but remove is disabled",
        "a Debian package of the list would remove one of the image's own",
        "Take it out of apt: the lines above name the packages",
    ),
    (
        r"No matching distribution found for (\S+)",
        "the package index has no {0} for this Python",
        "Correct the name or version in pip, or take it out",
    ),
    (
        r"^(\S+ \S+ (?:has requirement|requires) .+?)(?:, which is not installed)?\.?$",
        "a package of the list breaks one of the image's own: {0}",
        "Ask for versions that fit, or install it inside, for yourself alone: pip install ...",
    ),
)


def layer_error(tail: Sequence[str], progress: Progress) -> LauncherError:
    """The error to raise; shows the tool's own last lines only where they are not understood."""
    found = layer_cause(tail)
    if found is None:
        return build_error(tail, TITLE, progress)
    cause, next_step, code = found
    return LauncherError(f"{TITLE}: {cause}", next_step, code=code)


def layer_cause(tail: Sequence[str]) -> tuple[str, str, int] | None:
    """Cause, next step and exit code; None where no line is known."""
    lines = [PREFIX.sub("", line) for line in tail]
    if conflict := _conflict(lines):
        return conflict
    general = diagnose(tail)
    # Without a network pip ends with "no matching distribution" too: what the machine lacks comes first.
    if general is not None and general[2] == NOT_READY:
        return general
    for pattern, cause, next_step in RULES:
        for line in lines:
            if match := re.search(pattern, line):
                return cause.format(*match.groups()), next_step, FAILED
    return None


def _conflict(lines: Sequence[str]) -> tuple[str, str, int] | None:
    """A package that asks for another version of the stack than the image's constraints allow."""
    place = next((number for number, line in enumerate(lines) if CONSTRAINT.search(line)), None)
    if place is None:
        return None
    pinned = CONSTRAINT.search(lines[place])
    assert pinned is not None  # noqa: S101 - found above
    name, version = pinned.groups()
    asked = [match[1] for line in lines[:place] if (match := DEPENDS.search(line)) and name in match[1]]
    who = f"{asked[-1]} does not fit" if asked else "a package of the list does not fit"
    return (
        f"{who} the image's {name} {version}, which belongs to its CUDA libraries",
        "Take it out, or ask for a version that works with it; other versions of PyTorch are other stacks: --stack",
        FAILED,
    )
