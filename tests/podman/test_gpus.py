"""GPUs on a real Podman by CDI.

Simulated: the spec's device nodes (all /dev/null), and libcuda.so.1. Real: launcher, Podman, the injection, and
envcheck inside the container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.machines import compile_driver, compiled, remove_spec, write_spec
from tests.podman.conftest import Launch, two_lines
from tests.podman.private_podman import PrivatePodman

TWO_GPUS = ("--mode", "ssh", "--gpus", "all", "-e", "FAKE_CUDA_COUNT=2", "--yes")


@pytest.fixture(scope="module")
def fake_libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(compile_driver, tmp_path_factory.mktemp("driver"))


@pytest.fixture
def spec(podman: PrivatePodman, fake_libcuda: Path) -> Iterator[Callable[..., None]]:
    """Write /etc/cdi/nvidia.json there; it is gone after the test."""
    yield lambda **options: write_spec(podman.cdi_directory, library=fake_libcuda, **options)
    remove_spec(podman.cdi_directory)


@pytest.mark.usefixtures("nothing_left")
def test_simulated_gpus_are_injected_and_proved_by_a_kernel_on_each(launch: Launch, spec: Callable[..., None]) -> None:
    spec()
    try:
        started = launch("up", "both", *TWO_GPUS, "--json")
        assert started.code == 0, started.stderr
        assert (started.json["device"], started.json["gpu_verified"]) == ("gpu", True)
        inside = launch("exec", "both", "--", "sh", "-c", "ls /dev/nvidia? /usr/share/driver-note")
        assert inside.stdout.split() == ["/dev/nvidia0", "/dev/nvidia1", "/usr/share/driver-note"]
        other = launch("up", "other", "--mode", "ssh", "--gpus", "1", "--yes")
        assert (other.code, "both" in two_lines(other)[0]) == (4, True)
    finally:
        launch("rm", "both", "--yes")


@pytest.mark.usefixtures("nothing_left")
def test_one_simulated_gpu_of_two_is_all_that_is_seen(launch: Launch, spec: Callable[..., None]) -> None:
    spec()
    try:
        done = launch("up", "one", "--mode", "ssh", "--gpus", "device=1", "--yes", "--json")
        assert done.code == 0, done.stderr
        assert launch("exec", "one", "--", "sh", "-c", "ls /dev/nvidia?").stdout.split() == ["/dev/nvidia1"]
    finally:
        launch("rm", "one", "--yes")


@pytest.mark.usefixtures("nothing_left")
def test_a_simulated_driver_that_fails_leaves_nothing(launch: Launch, spec: Callable[..., None]) -> None:
    spec()
    done = launch("up", "broken", *TWO_GPUS, "-e", "FAKE_CUDA_INIT=803")
    assert (done.code, "803" in two_lines(done)[0]) == (3, True)


@pytest.mark.usefixtures("nothing_left")
def test_a_stale_spec_of_simulated_gpus_is_named(launch: Launch, spec: Callable[..., None]) -> None:
    """A spec that names a library of a driver which was updated since."""
    spec(nvml=Path("/nonexistent/libnvidia-ml.so.580.65.06"))
    done = launch("up", "stale", *TWO_GPUS)
    cause, step = two_lines(done)
    assert done.code == 3, cause
    assert "nvidia-ctk cdi generate" in step


@pytest.mark.usefixtures("nothing_left")
def test_a_simulated_gpu_that_is_lost_is_healed_by_down_and_up(launch: Launch, spec: Callable[..., None]) -> None:
    """Simulated: a libcuda that fails with 999 without a file, as in a container that lost its device."""
    spec()
    node = "/home/user/node"
    try:
        flags = (*TWO_GPUS, "-e", f"FAKE_NODE={node}", "--skip-check")
        assert launch("up", "lost", *flags).code == 0
        healed = launch("heal", "lost")
        cause, step = two_lines(healed)
        assert (healed.code, "Podman" in cause) == (3, True)
        assert "launcher down" in step and launch("status", "lost", "--json").json["state"] == "running"
    finally:
        launch("rm", "lost", "--yes")
