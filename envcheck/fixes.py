"""The catalogue's fix steps, cut to the machine: only the line of this distribution, where it is known. Pure."""

from __future__ import annotations

from dataclasses import replace

from envcheck.finding import Finding

# Steps of causes.toml that are meant for one distribution begin with its name.
MARKED = {"debian": "Debian: ", "ubuntu": "Ubuntu: "}


def adapt(finding: Finding, distribution: str | None) -> Finding:
    """Keep the steps for `distribution` (an os-release ID) without their mark; elsewhere every step stays."""
    own = MARKED.get(distribution or "")
    if own is None:
        return finding
    others = tuple(mark for mark in MARKED.values() if mark != own)
    steps = tuple(step.removeprefix(own) for step in finding.fix if not step.startswith(others))
    return replace(finding, fix=steps)
