"""The start program: one-off commands, pip, compilers, stopping, and volumes that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.images.containers import UIDS, StartContainer, run_in, wait_healthy
from tests.waiting import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    import docker

SITE = "/usr/local/lib/python3"


@pytest.mark.parametrize("uid", [*UIDS, 0, 33])
def test_a_one_off_command_has_a_name_a_home_and_the_stack(
    start_container: StartContainer, ssh_image: str, uid: int
) -> None:
    script = (
        "id -u; id -un; touch ~/a /cache/a /workspace/a /tmp/a && echo writable; "
        "python -c 'import torch, cifar10; print(torch.__file__)'"
    )
    container = start_container(
        ssh_image,
        ["bash", "-c", script],
        uid=uid,
        read_only=False,
        group_add=["4242"],
    )
    assert container.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 0, container.logs().decode()
    number, name, writable, torch = container.logs(stderr=False).decode().split()
    assert (number, writable) == (str(uid), "writable")
    assert name == {0: "root", 33: "www-data"}.get(uid, "user")
    assert torch.startswith(SITE)


def test_the_exit_code_and_arguments_of_a_command_pass_through(start_container: StartContainer, ssh_image: str) -> None:
    container = start_container(ssh_image, ["bash", "-c", 'printf "%s|" "$@"; exit 7', "x", "a b", ""])
    assert container.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 7
    assert container.logs(stderr=False).decode() == "a b||"


def test_a_service_of_the_other_target_is_refused(start_container: StartContainer, ssh_image: str) -> None:
    container = start_container(ssh_image, ["jupyter"])
    assert container.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 1
    assert "no jupyter service" in container.logs().decode()


def test_pip_install_persists_over_containers_and_torch_stays_the_images(
    start_container: StartContainer, ssh_image: str, volume: str, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """The package is a local one made here, so that nothing is downloaded."""
    setup = "from setuptools import setup\nsetup(name='tiny', version='3', py_modules=['tiny'])\n"
    (tmp_path / "setup.py").write_text(setup)
    (tmp_path / "tiny.py").write_text("value = 3\n")
    tmp_path.chmod(0o755)
    package = {str(tmp_path): {"bind": "/package", "mode": "ro"}}
    options = {"volumes": {volume: {"bind": "/home/user", "mode": "rw"}, **package}}
    install = "cp -r /package /tmp/p && pip install --quiet --no-build-isolation --no-index /tmp/p"
    first = start_container(ssh_image, ["bash", "-c", install], **options)
    assert first.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 0, first.logs().decode()
    second = start_container(
        ssh_image, ["python", "-c", "import tiny, torch; print(tiny.value, tiny.__file__, torch.__file__)"], **options
    )
    assert second.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 0, second.logs().decode()
    value, tiny, torch = second.logs(stderr=False).decode().split()
    assert value == "3"
    assert tiny.startswith("/home/user/.venvs/")
    assert torch.startswith(SITE)


def test_pip_refuses_to_change_the_stack(start_container: StartContainer, ssh_image: str) -> None:
    container = start_container(ssh_image, ["pip", "install", "--no-index", "torch!=2.8.0"])
    assert container.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 1
    assert "torch" in container.logs().decode()


def test_torch_compile_builds_and_runs_a_function(start_container: StartContainer, ssh_image: str) -> None:
    code = (
        "import torch\n"
        "f = torch.compile(lambda x: torch.sin(x) + torch.cos(x) * 2)\n"
        "x = torch.linspace(0, 1, 100)\n"
        "torch.testing.assert_close(f(x), torch.sin(x) + torch.cos(x) * 2)\n"
        "print('compiled')\n"
    )
    container = start_container(ssh_image, ["python", "-c", code])
    assert container.wait(timeout=300)["StatusCode"] == 0, container.logs().decode()
    assert container.logs(stderr=False).decode().strip() == "compiled"


@pytest.mark.parametrize("mode", ["jupyter", "ssh"])
def test_stops_by_itself_when_asked(start_jupyter: StartContainer, start_ssh: StartContainer, mode: str) -> None:
    container = start_jupyter() if mode == "jupyter" else start_ssh()
    wait_healthy(container)
    container.kill(signal="SIGTERM")
    assert container.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 0


def test_a_service_that_cannot_start_ends_the_container_with_its_code(
    start_container: StartContainer, jupyter_image: str, tmp_path: Path
) -> None:
    """Simulated by a broken JupyterLab configuration in the home."""
    (tmp_path / "jupyter_server_config.py").write_text("raise SystemExit(5)\n")
    tmp_path.chmod(0o755)
    container = start_container(
        jupyter_image,
        volumes={str(tmp_path): {"bind": "/etc/jupyter", "mode": "ro"}},
    )
    assert container.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 5
    assert "right after its start" in container.logs().decode()


def test_a_home_that_cannot_be_written_costs_persistence_and_says_so(
    start_container: StartContainer, ssh_image: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o555)
    container = start_container(
        ssh_image,
        ["bash", "-c", "echo $HOME; python -c 'import torch'"],
        volumes={str(tmp_path): {"bind": "/home/user", "mode": "ro"}},
    )
    assert container.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 0, container.logs().decode()
    assert container.logs(stderr=False).decode().strip() == "/tmp/home"
    assert "/home/user cannot be written" in container.logs().decode()


def test_caches_are_shared_between_homes(start_container: StartContainer, ssh_image: str, volume: str) -> None:
    cache = {volume: {"bind": "/cache", "mode": "rw"}}
    first = start_container(ssh_image, ["bash", "-c", "echo kept > ~/.cache/file"], volumes=cache)
    assert first.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 0, first.logs().decode()
    second = start_container(ssh_image, ["bash", "-c", "cat ~/.cache/file; readlink ~/.vscode-server"], volumes=cache)
    assert second.wait(timeout=DEADLINE_SECONDS)["StatusCode"] == 0, second.logs().decode()
    assert second.logs(stderr=False).decode().split() == ["kept", "/cache/vscode-server"]


def test_supplementary_groups_have_names(start_container: StartContainer, ssh_image: str) -> None:
    container = start_container(ssh_image, ["sleep", "60"], group_add=["4242"])
    wait_until(lambda: container.exec_run(["test", "-e", "/etc/group.cache"]).exit_code == 0, "started")
    assert "group4242" in run_in(container, "id", "-Gn").split()
