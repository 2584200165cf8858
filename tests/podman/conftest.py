"""The whole launcher on a real Podman: as root, and as an ordinary user."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT, lacking
from tests.end_to_end.machines import Run, machine
from tests.end_to_end.private_machine import or_lacking
from tests.podman.private_podman import PrivatePodman, cache_directory, private_podman
from tests.podman.rootless import RootlessPodman, rootless_podman
from tests.podman.slim_images import write_slim_bundle

if TYPE_CHECKING:
    import docker

Launch = Callable[..., Run]
LAUNCHER = str(ROOT / "bin/launcher")
UID = 1234


@pytest.fixture(scope="session")
def podman() -> Iterator[PrivatePodman]:
    """A throw-away Podman; stopped, and emptied of all but its images, at the end."""
    with or_lacking(private_podman(cache_directory(os.environ)), "no private Podman") as running:
        yield running


@pytest.fixture(scope="session")
def bundle(
    podman: PrivatePodman, docker_client: docker.DockerClient, jupyter_image: str, ssh_image: str
) -> Callable[..., Path]:
    """Write a bundle of today's images, without PyTorch: bundle("jupyter", "ssh")."""
    references = {"jupyter": jupyter_image, "ssh": ssh_image}

    def write(*targets: str) -> Path:
        directory = Path(tempfile.mkdtemp(dir=podman.directory))
        directory.chmod(0o755)
        write_slim_bundle(docker_client, {target: references[target] for target in targets}, directory / "bundle.tar")
        return directory / "bundle.tar"

    return write


@pytest.fixture(scope="session")
def launch(
    podman: PrivatePodman,
    jupyter_image: str,
    ssh_image: str,
    bundle: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Launch:
    """Run bin/launcher as root for the owner of one project: launch(*arguments, environ={...}); images are there."""
    home, project = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("project")
    os.chown(project, UID, UID)
    # Outside Podman's network, where packages can be had.
    subprocess.run([LAUNCHER, "--version"], check=True, stdout=subprocess.DEVNULL)
    bare = machine(tmp_path_factory.mktemp("machine") / "root", card=False)

    def run(*arguments: str, environ: dict[str, str] | None = None) -> Run:
        own = {"HOME": str(home), "ENVCHECK_ROOT": str(bare)}
        own |= {name: str(home / name) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        done = podman.run(LAUNCHER, *arguments, environ=own | (environ or {}), cwd=project)
        assert "Traceback" not in done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    found = podman.podman("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    if not {f"localhost/{jupyter_image}", f"localhost/{ssh_image}"} <= set(found):
        loaded = run("bundle", "load", str(bundle("jupyter", "ssh")))
        assert loaded.code == 0, loaded.stderr
        if found:
            podman.podman("image", "rm", "--force", *found)
    return run


@pytest.fixture(scope="session")
def rootless(podman: PrivatePodman, ssh_image: str, bundle: Callable[..., Path]) -> Iterator[RootlessPodman]:
    """Podman of an ordinary user, with today's ssh image."""
    with or_lacking(rootless_podman(podman), "no rootless Podman") as user:
        _prepare(user, ssh_image, bundle)
        yield user


def _prepare(user: RootlessPodman, image: str, bundle: Callable[..., Path]) -> None:
    # Outside Podman's network, where packages can be had.
    made = user.run(LAUNCHER, "--version", namespaces=("--mount",))
    if made.returncode:
        lacking(f"an ordinary user cannot run {LAUNCHER}: {made.stderr}")
    found = user.run("podman", "--remote", "images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    if f"localhost/{image}" not in found:
        loaded = user.run(LAUNCHER, "bundle", "load", str(bundle("ssh")))
        assert loaded.returncode == 0, loaded.stderr
        if found:
            user.run("podman", "--remote", "image", "rm", "--force", *found)


@pytest.fixture
def nothing_left(podman: PrivatePodman) -> Iterator[None]:
    """The test leaves Podman as it was."""
    before = podman.everything()
    yield
    assert podman.everything() == before


def two_lines(run: Run) -> tuple[str, str]:
    """Cause and next step: the two last lines, and nothing else but progress."""
    *_, cause, step = run.stderr.strip().splitlines()
    assert cause.startswith("launcher: ") and step.startswith("  next: "), run.stderr
    return cause, step
