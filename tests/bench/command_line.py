"""What a command costs before it does anything, and what listing costs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import docker

from launcher import labels
from tests.bench.environments import LAUNCHER, bench
from tests.bench.figure import Figure, median_seconds, quiet

RUNS = 15
ENVIRONMENTS = 20


def figures() -> Iterator[Figure]:
    quiet(LAUNCHER, "--version")  # makes the environment
    help_seconds = median_seconds(lambda: quiet(LAUNCHER, "--help"), RUNS)
    yield Figure("`launcher --help`", help_seconds, "s", 0.10, RUNS)
    yield Figure(f"`launcher ls`, {ENVIRONMENTS} environments", _listing(), "s", 0.25, RUNS)


def _listing() -> float:
    """Simulated environments: volumes with an environment's labels, which is what `ls` shows as down."""
    client = docker.from_env()
    owner, made = "0", []
    try:
        for _ in range(ENVIRONMENTS):
            name = f"bench-{secrets.token_hex(3)}"
            values = {labels.ROLE: labels.ROLE_ENVIRONMENT, labels.NAME: name, labels.MODE: "jupyter", labels.PORT: "0"}
            made.append(client.volumes.create(f"gl-{name}", labels={**values, labels.OWNER: owner}))
        with bench() as own:
            return median_seconds(lambda: own.launcher("ls"), RUNS)
    finally:
        for volume in made:
            volume.remove()
        client.close()
