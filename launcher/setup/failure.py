"""Why a build failed: the tool's own words turned into one cause and one next step."""

from __future__ import annotations

import re
from collections.abc import Sequence

from launcher.errors import LauncherError
from launcher.progress import Progress

SHOWN_LINES = 15
NOT_READY = 3
URL = re.compile(r"https?://(?:[^/@\s]*@)?([^/\s:`'\"]+)")

# Pattern, cause, next step, exit code; the first that matches a line decides, so the special ones stand first.
RULES: tuple[tuple[str, str, str, int], ...] = (
    (
        r"no space left on device",
        "the engine's disk is full",
        "free space (docker builder prune frees old build caches), then run this again",
        NOT_READY,
    ),
    (
        r"hash mismatch|do not match the hashes|hash sum mismatch",
        "a downloaded package is not the one that was locked",
        "the mirror{host} may be stale or altered: try another one, or run this again",
        1,
    ),
    (
        r"stacks\.toml says|is not the stack it should be",
        "what was installed differs from images/stacks.toml",
        "correct stacks.toml or generate the locks again: images/locks/generate.py",
        1,
    ),
    (
        r"cannot connect to the docker daemon|error during connect|docker daemon is not running",
        "the engine does not answer",
        "launcher setup",
        NOT_READY,
    ),
    (
        r"permission denied.*docker\.sock|docker\.sock.*permission denied",
        "this user may not use the engine",
        "sudo usermod -aG docker $USER, then log in again",
        NOT_READY,
    ),
    (
        r"certificate verify failed|unknownissuer|invalid peer certificate|self-signed certificate|not trusted",
        "the package server's certificate{host} is not trusted",
        "name your network's CA file: SSL_CERT_FILE=/path/to/ca.pem",
        NOT_READY,
    ),
    (
        r"temporary failure in name resolution|temporary failure resolving|could not resolve|dns error|"
        r"failed to lookup address|name or service not known|no such host",
        "a package server's name{host} cannot be resolved",
        "check the network, or name mirrors: LAUNCHER_APT_MIRROR, PIP_INDEX_URL, http_proxy",
        NOT_READY,
    ),
    (
        r"connection refused|timed out|network is unreachable|could not connect|connection reset|error sending request|"
        r"failed to fetch|unable to connect|404\s+not found|does not have a release file",
        "a package server{host} does not answer, or lacks what is needed",
        "check the network, or name other mirrors: LAUNCHER_APT_MIRROR, PIP_INDEX_URL",
        NOT_READY,
    ),
    (
        r"signal: killed|out of memory|cannot allocate memory|exit code: 137",
        "the build ran out of memory",
        "free memory, or give the engine's machine more, then run this again",
        NOT_READY,
    ),
    (
        r"does not satisfy|no solution found|no matching distribution|could not find a version",
        "a locked package is not on the package index{host}",
        "use an index that mirrors PyPI completely, or generate the locks again",
        1,
    ),
)


def build_error(tail: Sequence[str], fallback: str, progress: Progress) -> LauncherError:
    """Show the last lines and return the error to raise; `fallback` is the cause when no line is recognised."""
    for line in tail[-SHOWN_LINES:]:
        progress.say(f"  | {line}")
    found = diagnose(tail)
    if found is None:
        return LauncherError(fallback, "read the tool's own last lines above, correct their cause and run this again")
    cause, next_step, code = found
    return LauncherError(f"{fallback}: {cause}", next_step, code=code)


def diagnose(tail: Sequence[str]) -> tuple[str, str, int] | None:
    """Cause, next step and exit code of the first rule that a line matches; None when none does."""
    for pattern, cause, next_step, code in RULES:
        line = next((line for line in tail if re.search(pattern, line, re.IGNORECASE)), None)
        if line is not None:
            found = URL.search(line)
            host = f" ({found.group(1)})" if found else ""
            return cause.replace("{host}", host), next_step.replace("{host}", host), code
    return None
