"""`launcher train` for real: envcheck as the gate, the trainer in a container, the files with the caller."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from tests.conftest import RunLauncher
from tests.end_to_end.environment import Started, project_of
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("jupyter_image")
SYNTHETIC = ("--model", "simple", "--synthetic", "--epochs", "1", "--out", "run")


def owners(directory: Path) -> set[int]:
    return {path.stat().st_uid for path in [directory, *directory.rglob("*")]}


def test_one_off_container_trains_and_leaves_only_the_callers_files(
    run_launcher: RunLauncher, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    project = project_of(tmp_path / "work", 1234)
    done = run_launcher("train", "--yes", "--", *SYNTHETIC, cwd=project)
    assert done.code == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert {"test_accuracy", "images_per_second", "device", "epochs", "seconds", "checkpoint"} <= set(result)
    left = {path.name for path in (project / "run").iterdir()}
    assert (project / result["checkpoint"]).exists()
    assert {"metrics.csv", "run.json", "curves.png", "confusion-matrix.png", "predictions.png"} <= left
    assert json.loads((project / "run/run.json").read_text())["image"].startswith("gpu-launcher/jupyter:")
    assert owners(project) == {1234}
    of_project = {"label": f"gpu-launcher.project={project}"}
    assert not docker_client.containers.list(all=True, filters=of_project)
    assert not docker_client.volumes.list(filters=of_project)


def test_a_running_environment_of_the_project_is_used(
    up: Callable[..., Started], run_launcher: RunLauncher, docker_client: docker.DockerClient
) -> None:
    started = up("jupyter")
    done = run_launcher("train", "--", *SYNTHETIC, cwd=started.project)
    assert done.code == 0, done.stderr
    assert f"Training in environment {started.name}, on the CPU" in done.stderr
    assert owners(started.project) == {1234}


def test_the_trainers_exit_code_and_message_come_through(run_launcher: RunLauncher, tmp_path: Path) -> None:
    project = project_of(tmp_path / "work", 1234)
    (project / "broken.npz").write_bytes(b"not an archive")
    done = run_launcher("train", "--skip-check", "--", "--data", "broken.npz", cwd=project)
    assert done.code not in (0, 130) and "broken.npz" in done.stderr and "Traceback" not in done.stderr
    cuda = run_launcher("train", "--skip-check", "--", *SYNTHETIC, "--device", "cuda", cwd=project)
    assert cuda.code == 3 and "Traceback" not in cuda.stderr


def test_a_trainer_that_is_killed_is_explained(
    up: Callable[..., Started], run_launcher: RunLauncher, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """As the kernel does when memory runs out."""
    started = up("jupyter")
    container = docker_client.containers.get(started.result["container_id"])
    with ThreadPoolExecutor(1) as pool:
        arguments = ("--skip-check", "--", "--synthetic", "--epochs", "100000")
        training = pool.submit(run_launcher, "train", *arguments, cwd=started.project)
        assert eventually(lambda: container.exec_run(["pkill", "-KILL", "-f", "cifar10 train"]).exit_code == 0)
        done = training.result()
    assert done.code == 137
    assert "memory ran out" in done.stderr and "--resume auto" in done.stderr


def test_a_batch_beyond_the_containers_memory_is_trained_in_pieces(run_launcher: RunLauncher, tmp_path: Path) -> None:
    """The kernel would kill what goes beyond it, without a word from the trainer."""
    project = project_of(tmp_path / "work", 1234)
    arguments = ("--model", "simple", "--synthetic", "--epochs", "1", "--batch-size", "10000", "--out", "run")
    done = run_launcher("train", "--skip-check", "--memory", "1500m", "--yes", "--", *arguments, cwd=project)
    assert done.code == 0, done.stderr
    assert "memory is short: " in done.stderr and " of 10000 images at once" in done.stderr


@pytest.mark.skipif("CIFAR10_NPZ" not in os.environ, reason="CIFAR10_NPZ does not name the real images")
def test_two_epochs_on_the_real_images_reach_62_percent(run_launcher: RunLauncher, tmp_path: Path) -> None:
    """The images are JPEG copies where CIFAR10_NPZ holds such: the figure is no CIFAR-10 record."""
    project = project_of(tmp_path / "work", 1234)
    shutil.copy(os.environ["CIFAR10_NPZ"], project / "cifar10.npz")
    (project / "cifar10.npz").chmod(0o644)
    arguments = ("--model", "simple", "--epochs", "2", "--data", "cifar10.npz", "--out", "run")
    done = run_launcher("train", "--yes", "--", *arguments, cwd=project, timeout=1800)
    assert done.code == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["test_accuracy"] >= 0.62
    assert owners(project / "run") == {1234}
