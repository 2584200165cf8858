"""From the command to an environment that can be used, against the same image by plain `docker run`."""

from __future__ import annotations

import secrets
import shlex
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker

from launcher.access.jupyter import answers
from launcher.address import STARTING_SECONDS
from launcher.progress import Progress
from launcher.ready import POLL_SECONDS
from launcher.setup.build import build_image
from launcher.stacks import default_stack
from tests.bench.environments import Bench, bench
from tests.bench.figure import Figure, interleaved, median_seconds, quiet, seconds

RUNS = 5


def figures() -> Iterator[Figure]:
    jupyter, _ = (build_image(default_stack(), target, Progress()).reference for target in ("jupyter", "ssh"))
    with bench() as own:
        token = own.directory / "token"
        token.write_text(secrets.token_urlsafe())
        up, plain = interleaved(lambda: _up_jupyter(own), lambda: _plain_jupyter(jupyter, token), RUNS)
        yield Figure("`up --mode jupyter`, image there", up, "s", 1.0, RUNS, plain, "docker run until it answers")
        until_login = statistics.median(_up_ssh(own) for _ in range(RUNS))
        yield Figure("`up --mode ssh` until `ssh NAME true` is done", until_login, "s", 1.5, RUNS)
        again = own.up("jupyter")
        twice = median_seconds(lambda: own.launcher("up", again["name"], "--mode", "jupyter"), RUNS)
        yield Figure("`up` of what runs already", twice, "s", 2.0, RUNS)
        yield Figure("`stop` of JupyterLab", statistics.median(_stop(own) for _ in range(RUNS)), "s", 2.0, RUNS)


def _up_jupyter(own: Bench) -> float:
    found: list[str] = []
    elapsed = seconds(lambda: found.append(own.up("jupyter")["name"]))
    own.remove(found[0])
    return elapsed


def _up_ssh(own: Bench) -> float:
    found: list[str] = []

    def start_and_log_in() -> None:
        result = own.up("ssh")
        found.append(result["name"])
        quiet(*shlex.split(result["ssh"]["command"]), "true", environ=own.environ)

    elapsed = seconds(start_and_log_in)
    own.remove(found[0])
    return elapsed


def _stop(own: Bench) -> float:
    name = own.up("jupyter")["name"]
    elapsed = seconds(lambda: own.launcher("stop", name))
    own.remove(name)
    return elapsed


def _plain_jupyter(image: str, token: Path) -> float:
    client = docker.from_env()
    started = time.perf_counter()
    published: Any = ("127.0.0.1", None)
    container = client.containers.run(
        image,
        detach=True,
        ports={"8888/tcp": published},
        environment={"LAUNCHER_TOKEN_FILE": "/run/secrets/token"},
        volumes={str(token): {"bind": "/run/secrets/token", "mode": "ro"}},
    )
    try:
        container.reload()
        ports = container.ports["8888/tcp"]
        assert ports
        port = int(ports[0]["HostPort"])
        while not answers(port, token.read_text(), STARTING_SECONDS):
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - started
    finally:
        container.remove(force=True, v=True)
        client.close()
