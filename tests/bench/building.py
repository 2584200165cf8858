"""Image sizes, and what a rebuild costs after an edit."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker

from launcher import stacks
from launcher.progress import Progress
from launcher.setup.build import build_image
from tests.bench.environments import ROOT
from tests.bench.figure import Figure, quiet, seconds

RUNS = 3
SITE = "/usr/local/lib/python3.11/dist-packages"


def figures() -> Iterator[Figure]:
    stack = stacks.default_stack()
    jupyter, ssh = (build_image(stack, target, Progress()).reference for target in ("jupyter", "ssh"))
    client = docker.from_env()
    total = client.images.get(jupyter).attrs["Size"]
    listed = quiet("docker", "run", "--rm", "--entrypoint", "du", jupyter, "-sb", SITE)
    packages = int(listed.split()[0])
    yield Figure("jupyter image above its Python packages", 100 * (total / packages - 1), "%", 12, 1)
    yield Figure("ssh image beside it, further bytes", 100 * _unshared(client, ssh, jupyter) / total, "%", 4, 1)
    client.close()
    yield Figure("rebuild after an edit of the trainer", _rebuild_after_edit(), "s", 5, RUNS)


def _unshared(client: docker.DockerClient, image: str, beside: str) -> int:
    """Bytes of the layers that `beside` does not have."""
    shared = set(client.images.get(beside).attrs["RootFS"]["Layers"])
    own = client.images.get(image)
    layers = own.attrs["RootFS"]["Layers"]
    sizes = [row["Size"] for row in reversed(own.history()) if row["Size"]]
    with_bytes = layers[-len(sizes) :] if len(layers) > len(sizes) else layers
    return sum(size for layer, size in zip(with_bytes, sizes, strict=False) if layer not in shared)


def _rebuild_after_edit() -> float:
    """In a copy of the checkout; what it built is replaced by the checkout's own image again."""
    timings = []
    with tempfile.TemporaryDirectory(prefix="gl-bench-") as name:
        checkout = Path(name) / "checkout"
        quiet("git", "clone", "--quiet", str(ROOT), str(checkout))
        launcher = str(checkout / "bin/launcher")
        quiet(launcher, "--version")  # makes the environment
        for number in range(RUNS):
            with (checkout / "images/cifar10/__init__.py").open("a") as file:
                file.write(f"# {number}\n")
            timings.append(seconds(lambda: quiet(launcher, "build", "--target", "jupyter")))
    build_image(stacks.default_stack(), "jupyter", Progress())
    return statistics.median(timings)
