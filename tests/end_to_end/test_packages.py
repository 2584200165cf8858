"""A project's own packages for real: an image layer that is built once, and refusals that leave nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from launcher import labels
from tests.conftest import RunLauncher
from tests.end_to_end.environment import Started, Up, new_name, project_of

pytestmark = pytest.mark.usefixtures("ssh_image", "layers")
LISTS = 'apt = ["sudo", "htop"]\npip = ["iniconfig"]\n'
SAME_LISTS = 'pip = ["Iniconfig"]\napt = ["htop", "sudo", "htop"]\n'
LOOK = (
    "command -v htop; "
    "python -c 'import iniconfig, torch; print(iniconfig.__file__, torch.__version__, torch.__file__)'; "
    "find / -xdev -perm /6000 2>/dev/null; find /run/secrets /etc/pip.conf /var/cache/pip -type f 2>/dev/null; "
    "grep -rlE 'Proxy|CAInfo' /etc/apt"
)


@pytest.fixture
def layers(docker_client: docker.DockerClient) -> Iterator[set[str]]:
    """The ids of the layers that were there before; those the test built are gone after it."""

    def present() -> set[str]:
        found = docker_client.images.list(filters={"label": labels.IMAGE_PACKAGES})
        return {str(image.id) for image in found}

    before = present()
    yield before
    for identifier in present() - before:
        docker_client.images.remove(identifier, force=True)


def phases(started: Started) -> list[str]:
    return [phase["name"] for phase in started.result["phases"]]


def test_a_list_is_built_once_and_changes_neither_torch_nor_privileges(
    up: Up, run_launcher: RunLauncher, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    project = project_of(tmp_path / "project", 1234)
    (project / "launcher.toml").write_text(LISTS)
    first = up("ssh", project=project)
    assert "packages" in phases(first)
    inside = run_launcher("exec", first.name, "--", "sh", "-c", LOOK).stdout.split()
    assert inside[0] == "/usr/bin/htop"
    assert inside[1].startswith("/usr/local/lib/python3") and inside[2].startswith("2.8.0")
    assert inside[3].startswith("/usr/local/lib/") and inside[4:] == []
    history = json.dumps(docker_client.images.get(first.result["image"]).history())
    assert "https_proxy=" not in history.lower() and "index-url" not in history
    assert run_launcher("down", first.name).code == 0
    (project / "launcher.toml").write_text(SAME_LISTS)
    again = up("ssh", project=project, name=first.name)
    assert "packages" not in phases(again) and again.result["image"] == first.result["image"]


def test_build_makes_it_beforehand_and_a_changed_list_is_another_image(
    up: Up, run_launcher: RunLauncher, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    project = project_of(tmp_path / "project", 1234)
    (project / "launcher.toml").write_text('pip = ["iniconfig"]\n')
    built = run_launcher("build", "--target", "ssh", cwd=project)
    assert built.code == 0 and "Installing 1 Python package" in built.stderr
    started = up("ssh", project=project)
    layer = docker_client.images.get(built.stdout.strip())
    assert started.result["image"] == layer.id and "packages" not in phases(started)
    again = run_launcher("build", "--target", "ssh", "--project", str(project))
    assert (again.stdout, "Installing" in again.stderr) == (built.stdout, False)
    changed = up("ssh", "--pip", "iniconfig!=0.1", project=project, name=started.name)
    assert "packages" in phases(changed) and changed.result["image"] != layer.id


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("--apt", "no-such-package-here"), 1, "Debian has no package no-such-package-here"),
        (("--pip", "iniconfig==99.9"), 1, "no iniconfig==99.9 for this Python"),
        (("--pip", "torch>2.8"), 1, "torch>2.8 does not fit the image's torch 2.8.0"),
        (("--pip", "torch==2.6"), 2, "would replace the image's torch 2.8.0"),
        (("--pip", "--index-url=http://127.0.0.1"), 2, "is not a Python requirement"),
        (("--apt", "htop; id"), 2, "is not the name of a Debian package"),
    ],
)
def test_what_cannot_be_installed_is_named_and_leaves_nothing(
    run_launcher: RunLauncher,
    docker_client: docker.DockerClient,
    layers: set[str],
    tmp_path: Path,
    arguments: tuple[str, str],
    code: int,
    named: str,
) -> None:
    project = project_of(tmp_path / "project", 1234)
    name = new_name("ssh")
    done = run_launcher("up", name, "--mode", "ssh", "--json", *arguments, cwd=project)
    error = json.loads(done.stdout)["error"]
    assert (done.code, error["code"]) == (code, code) and named in error["cause"] and error["next"]
    assert "Traceback" not in done.stderr
    assert list(project.iterdir()) == []
    left = [str(image.id) for image in docker_client.images.list(filters={"label": labels.IMAGE_PACKAGES})]
    assert set(left) <= layers
    left += docker_client.containers.list(all=True, filters={"name": name})
    left += docker_client.volumes.list(filters={"name": name}) + docker_client.networks.list(filters={"name": name})
    assert set(left) <= layers
