"""An ordinary user with a Podman of their own, without root: launcher, Podman and image are real (without PyTorch)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.podman.conftest import LAUNCHER
from tests.podman.private_podman import ROOTLESS
from tests.podman.rootless import RootlessPodman


@pytest.fixture
def project(rootless: RootlessPodman) -> Iterator[Path]:
    """A directory of the user's."""
    made = rootless.run("mkdir", "-p", "project")
    assert made.returncode == 0, made.stderr
    yield rootless.home / "project"
    rootless.run(LAUNCHER, "rm", "own", "--yes")


def test_a_user_without_root_is_themselves_inside(rootless: RootlessPodman, project: Path) -> None:
    done = rootless.run(LAUNCHER, "up", "own", "--mode", "ssh", "--yes", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    argv = shlex.split(json.loads(done.stdout)["ssh"]["command"])
    look = "id -u; touch /workspace/made ~/kept; grep -h -e CapEff -e NoNewPrivs /proc/self/status"
    inside = rootless.run(argv[0], "-o", "BatchMode=yes", *argv[1:], look)
    assert inside.stdout.split() == [str(ROOTLESS), "CapEff:", "0" * 16, "NoNewPrivs:", "1"], inside.stderr
    assert (project / "made").stat().st_uid == ROOTLESS
    for verb in (("stop", "own"), ("up", "own", "--yes"), ("down", "own"), ("up", "own", "--mode", "ssh", "--yes")):
        again = rootless.run(LAUNCHER, *verb, cwd=project)
        assert again.returncode == 0, again.stderr
    assert rootless.run(LAUNCHER, "exec", "own", "--", "ls", "/home/user/kept").returncode == 0
