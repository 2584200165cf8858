"""VS Code Remote-SSH: the command and the link that open an environment."""

from __future__ import annotations

from urllib.parse import quote

WORKSPACE = "/workspace"


def command(alias: str) -> str:
    """What to type: https://code.visualstudio.com/docs/remote/troubleshooting#_connect-to-a-remote-host-from-the-terminal"""
    return f"code --remote ssh-remote+{alias} {WORKSPACE}"


def link(alias: str) -> str:
    """The same as a link that a browser hands to VS Code."""
    return f"vscode://vscode-remote/ssh-remote+{quote(alias)}{WORKSPACE}"
