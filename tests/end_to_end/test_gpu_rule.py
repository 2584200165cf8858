"""The GPU rule on a real engine >= 28 with real CDI injection.

Simulated: the machine's card and driver (files below ENVCHECK_ROOT), the spec's device nodes (all /dev/null), and
where a test says so libcuda.so.1. Real: launcher, engine, injection, image, and envcheck inside the container.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.engine_errors import engine_error
from tests.end_to_end.machines import Launch
from tests.end_to_end.private_engine import PrivateEngine

# Shared, so that these tests do not depend on whether another holds them.
ALL_GPUS = ("--mode", "jupyter", "--gpus", "all", "--share")


@pytest.mark.usefixtures("nothing_left")
def test_a_gpu_that_does_not_exist_is_named_with_those_that_do(launch: Launch, spec: Callable[..., None]) -> None:
    spec()
    done = launch("up", "absent", "--mode", "jupyter", "--gpus", "0,7", "--json")
    assert done.code == 2
    assert "7" in done.json["error"]["cause"]
    assert "present: 0, 1" in done.json["error"]["cause"]


@pytest.mark.usefixtures("nothing_left")
def test_more_gpus_than_there_are_is_a_usage_error(launch: Launch, spec: Callable[..., None]) -> None:
    spec()
    done = launch("up", "many", "--mode", "jupyter", "--gpus", "3", "--json")
    assert (done.code, "2 GPU" in done.json["error"]["cause"]) == (2, True)


@pytest.mark.usefixtures("nothing_left")
def test_gpus_without_driver_libraries_are_an_error_and_leave_nothing(
    launch: Launch, spec: Callable[..., None]
) -> None:
    spec()
    done = launch("up", "broken", *ALL_GPUS, "--json")
    assert done.code == 3
    assert done.json["error"]["cause_id"] == "container-driver-libs-missing"


@pytest.mark.usefixtures("nothing_left")
def test_a_failing_cuda_init_is_named_by_its_number_and_leaves_nothing(
    launch: Launch, spec: Callable[..., None], fake_libcuda: Path
) -> None:
    """Simulated: a libcuda whose cuInit returns 803."""
    spec(library=fake_libcuda)
    done = launch("up", "broken", *ALL_GPUS, "-e", "FAKE_CUDA_INIT=803", "--json")
    assert (done.code, done.json["error"]["cause_id"]) == (3, "cuda-compat-mismatch")
    assert "803" in done.json["error"]["cause"]


@pytest.mark.usefixtures("nothing_left")
def test_check_names_the_container_as_the_first_broken_layer(
    launch: Launch, spec: Callable[..., None], fake_libcuda: Path
) -> None:
    """Simulated: a libcuda whose cuInit returns 803 in the container, on a machine that shows no card."""
    spec(library=fake_libcuda)
    try:
        assert launch("up", "doctored", *ALL_GPUS, "-e", "FAKE_CUDA_INIT=803", "--skip-check").code == 0
        done = launch("check", "doctored")
        assert done.code == 3
        assert "cuda-init" in done.stdout and "FAIL cuda-compat-mismatch" in done.stdout
        assert "the first broken layer is the container (cuda-init)" in done.stderr
        assert launch("check", "doctored", "--json").json["first_broken"]["layer"] == "container"
    finally:
        launch("rm", "doctored", "--yes")


@pytest.mark.usefixtures("nothing_left")
def test_a_kernel_on_every_gpu_is_what_verifies_them(
    launch: Launch, spec: Callable[..., None], fake_libcuda: Path
) -> None:
    """Simulated: a libcuda with two devices, which runs the proof's kernel on the CPU."""
    spec(library=fake_libcuda)
    done = launch("up", "proven", *ALL_GPUS, "-e", "FAKE_CUDA_COUNT=2", "--json")
    try:
        assert done.code == 0, done.stderr
        assert (done.json["device"], done.json["gpu_verified"]) == ("gpu", True)
    finally:
        launch("rm", "proven", "--yes")


@pytest.mark.usefixtures("nothing_left")
def test_fewer_gpus_inside_than_were_attached_is_an_error(
    launch: Launch, spec: Callable[..., None], fake_libcuda: Path
) -> None:
    """Simulated: a libcuda with one device where two were attached."""
    spec(library=fake_libcuda)
    done = launch("up", "partial", *ALL_GPUS, "-e", "FAKE_CUDA_COUNT=1", "--json")
    assert done.code == 3
    assert "2 GPU(s) were attached but 1" in done.json["error"]["cause"]


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("gpus", ["all", "2", "0,1"])
def test_gpus_on_a_machine_without_a_card_are_an_error_that_says_so(launch: Launch, gpus: str) -> None:
    done = launch("up", "none", "--mode", "jupyter", "--gpus", gpus, "--json")
    assert (done.code, "no NVIDIA card" in done.json["error"]["cause"]) == (3, True)
    assert "--gpus none" in done.json["error"]["next"]


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("gpus", ["auto", "all"])
def test_a_card_without_a_driver_is_an_error_that_names_the_driver(launch: Launch, gpus: str) -> None:
    done = launch("up", "card", "--mode", "jupyter", "--gpus", gpus, "--json", on="card without driver")
    assert (done.code, done.json["error"]["cause_id"]) == (3, "driver-missing")
    assert "driver" in done.json["error"]["next"]


@pytest.mark.usefixtures("nothing_left")
def test_a_working_driver_without_spec_or_runtime_is_an_error_that_names_the_toolkit(
    launch: Launch, fake_libcuda: Path
) -> None:
    """Simulated: the card, its kernel module, and a libcuda that initialises."""
    driver = {"LD_LIBRARY_PATH": str(fake_libcuda.parent)}
    done = launch("up", "toolkit", "--mode", "jupyter", "--json", on="card with driver", environ=driver)
    assert (done.code, done.json["error"]["cause_id"]) == (3, "container-no-gpu-runtime")
    assert "NVIDIA Container Toolkit" in done.json["error"]["cause"]
    assert "launcher setup" in done.json["error"]["next"]


@pytest.mark.usefixtures("nothing_left")
def test_auto_without_a_card_runs_on_the_cpu_and_says_so_first(launch: Launch, private_engine: PrivateEngine) -> None:
    done = launch("up", "cpu", "--mode", "jupyter", "--json")
    try:
        assert done.code == 0, done.stderr
        assert done.first_line == "Device: CPU (no NVIDIA card found on this machine)"
        assert (done.json["device"], done.json["gpu_verified"], done.json["gpus"]) == ("cpu", False, [])
    finally:
        launch("rm", "cpu", "--yes")


@pytest.mark.usefixtures("nothing_left")
def test_an_unusable_card_stops_up_until_the_cpu_is_asked_for(launch: Launch, spec: Callable[..., None]) -> None:
    assert launch("up", "choice", "--mode", "jupyter", on="card without driver").code == 3
    done = launch("up", "choice", "--mode", "jupyter", "--gpus", "none", "--json", on="card without driver")
    try:
        assert done.code == 0, done.stderr
        assert done.first_line == "Device: CPU (asked for with --gpus none)"
        assert done.json["device"] == "cpu"
    finally:
        launch("rm", "choice", "--yes")


@pytest.fixture
def small_container(private_engine: PrivateEngine, private_jupyter_image: str) -> Callable[..., str]:
    """Run a command in the image with options of `docker run`; the engine's text where it refuses."""

    def refused(*options: str) -> str:
        with pytest.raises(subprocess.CalledProcessError) as raised:
            private_engine.docker("run", "--rm", "--entrypoint", "true", *options, private_jupyter_image)
        return str(raised.value.stderr)

    return refused


@pytest.mark.usefixtures("nothing_left")
def test_the_engines_true_text_for_an_unknown_cdi_device_is_recognised(
    small_container: Callable[..., str], spec: Callable[..., None]
) -> None:
    spec()
    text = small_container("--device", "nvidia.com/gpu=7")
    assert engine_error(text, "the engine").cause_id == "container-cdi-unresolvable", text


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.skipif(bool(shutil.which("nvidia-container-runtime-hook")), reason="the toolkit is installed here")
def test_the_engines_true_text_for_gpus_without_a_toolkit_is_recognised(small_container: Callable[..., str]) -> None:
    text = small_container("--gpus", "all")
    assert engine_error(text, "the engine").cause_id == "container-no-gpu-runtime", text
