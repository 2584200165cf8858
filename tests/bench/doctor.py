"""What a verdict of envcheck costs: on a bare host, and inside the image where PyTorch is."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import docker

from launcher.progress import Progress
from launcher.setup.build import build_image
from launcher.stacks import default_stack
from tests.bench.environments import ROOT
from tests.bench.figure import Figure, median_seconds, quiet, seconds

RUNS = 15
IN_IMAGE = 7
DOCTOR = ("envcheck",)
IMPORT = ("python", "-c", "import torch")
COLLECT = ("python", "-m", "torch.utils.collect_env")


def figures() -> Iterator[Figure]:
    skipped = [word for topic in ("torch", "cudnn", "nccl") for word in ("--skip", topic)]
    host = median_seconds(lambda: quiet(str(ROOT / "bin/envcheck"), *skipped), RUNS)
    yield Figure("`envcheck` on the host, without PyTorch", host, "s", 0.3, RUNS)
    doctor, imported, collected = _inside(build_image(default_stack(), "ssh", Progress()).reference)
    beyond = doctor - imported
    yield Figure(f"`envcheck` with PyTorch ({doctor:.2f} s), beyond `import torch`", beyond, "s", 0.5, IN_IMAGE)
    yield Figure(
        "`envcheck` with PyTorch", doctor, "s", 1.0, IN_IMAGE, collected, "torch.utils.collect_env, no verdict"
    )


def _inside(image: str) -> list[float]:
    """Medians in the image, the three taken in turn after a round that does not count."""
    client = docker.from_env()
    container = client.containers.run(image, ["sleep", "infinity"], detach=True, init=True, shm_size="1g")
    try:
        rounds = [[_timed(container, command) for command in (DOCTOR, IMPORT, COLLECT)] for _ in range(IN_IMAGE + 1)]
    finally:
        container.remove(force=True, v=True)
        client.close()
    return [statistics.median(timings) for timings in zip(*rounds[1:], strict=True)]


def _timed(container: docker.models.containers.Container, command: tuple[str, ...]) -> float:
    return seconds(lambda: container.exec_run(list(command)))
