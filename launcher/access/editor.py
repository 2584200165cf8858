"""Opening VS Code on an environment, where VS Code is on the machine somebody sits at."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from launcher.access import vscode
from launcher.environments import Environment
from launcher.errors import LauncherError, UsageError

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME")


@dataclass(frozen=True, slots=True)
class EditorAddress:
    """How to open VS Code on an environment; `opened` when it was."""

    name: str
    command: str
    link: str
    opened: bool = False

    def to_json(self) -> dict[str, Any]:
        """The object of `code --json`."""
        return {"name": self.name, "command": self.command, "link": self.link, "opened": self.opened}


def editor_address(environment: Environment) -> EditorAddress:
    """Raises UsageError for an environment that VS Code cannot log in to."""
    if environment.mode != "ssh":
        raise UsageError(
            f"environment {environment.name} is for JupyterLab, and VS Code logs in by ssh",
            f"Start one for it: launcher up --mode ssh --project {environment.project}",
        )
    return EditorAddress(environment.name, vscode.command(environment.name), vscode.link(environment.name))


def program(environ: Mapping[str, str]) -> str | None:
    """VS Code's command, where it can show a window here: not over ssh, where nobody sees this machine's screen."""
    if environ.get("SSH_CONNECTION") or not any(environ.get(name) for name in SCREENS):
        return None
    return shutil.which("code", path=environ.get("PATH"))


def open_editor(found: str, name: str) -> None:
    """Raises LauncherError when VS Code refuses, with what it said last."""
    done = subprocess.run(
        [found, "--remote", f"ssh-remote+{name}", vscode.WORKSPACE],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise LauncherError(f"VS Code did not open: {said}", f"See more: {vscode.command(name)}")
