"""An environment that `bin/launcher up` really started, and how tests talk to it."""

from __future__ import annotations

import json
import secrets
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.waiting import DEADLINE_SECONDS

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Started:
    """What `up --json` printed, its stderr, and the project directory."""

    result: dict[str, Any]
    stderr: str
    project: Path

    @property
    def name(self) -> str:
        return str(self.result["name"])


Up = Callable[..., Started]


def new_name(mode: str) -> str:
    """A name no other test has."""
    return f"test-{secrets.token_hex(3)}-{mode}"


def project_of(directory: Path, uid: int) -> Path:
    """A project directory that belongs to `uid`, so that the container runs as it."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    subprocess.run(["chown", f"{uid}:{uid}", str(directory)], check=True)
    return directory


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body of a GET, whatever the status."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def ssh(started: Started, command: str, *options: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command over the real OpenSSH client, as `up` said, never prompting."""
    argv = shlex.split(started.result["ssh"]["command"])
    argv[1:1] = ["-o", "BatchMode=yes", *options]
    return subprocess.run([*argv, command], capture_output=True, text=True, input=stdin, timeout=DEADLINE_SECONDS)


def started_from(stdout: str, stderr: str, project: Path) -> Started:
    """Read what `up --json` printed."""
    return Started(json.loads(stdout), stderr, project)
