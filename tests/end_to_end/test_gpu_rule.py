"""The GPU rule on a real engine >= 28 with real CDI injection.

Simulated: the machine's card and driver (files below ENVCHECK_ROOT), the spec's device nodes (all /dev/null), and
where a test says so libcuda.so.1. Real: launcher, engine, injection, image, and envcheck inside the container.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from launcher.engine_errors import engine_error
from tests.conftest import ROOT, lacking
from tests.end_to_end.machines import compile_driver, machine, remove_spec, write_spec
from tests.end_to_end.private_engine import PrivateEngine


@dataclass(frozen=True, slots=True)
class Run:
    """How a launcher run ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def first_line(self) -> str:
        return self.stderr.splitlines()[0]


Launch = Callable[..., Run]
# Shared, so that these tests do not depend on whether another holds them.
ALL_GPUS = ("--mode", "jupyter", "--gpus", "all", "--share")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Faked roots: no card; a card without driver; a card with a loaded driver module."""
    base = tmp_path_factory.mktemp("machines")
    return {
        "no card": machine(base / "none", card=False),
        "card without driver": machine(base / "card", card=True),
        "card with driver": machine(base / "driver", card=True, driver=True),
    }


@pytest.fixture(scope="module")
def launch(
    private_engine: PrivateEngine,
    private_jupyter_image: str,
    machines: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Launch:
    """Run bin/launcher for one user with one project: launch(*arguments, on="no card", environ={...})."""
    home, project = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("project")
    os.chown(project, 1000, 1000)
    # Outside the engine's network, where packages can be had.
    subprocess.run([str(ROOT / "bin/launcher"), "--version"], check=True, stdout=subprocess.DEVNULL)

    def run(*arguments: str, on: str = "no card", environ: dict[str, str] | None = None) -> Run:
        own = {"HOME": str(home), "ENVCHECK_ROOT": str(machines[on])}
        own |= {name: str(home / name) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        own |= environ or {}
        done = private_engine.run(str(ROOT / "bin/launcher"), *arguments, environ=own, cwd=project)
        assert "Traceback" not in done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def spec(private_engine: PrivateEngine) -> Iterator[Callable[..., None]]:
    """Write the engine's CDI spec; it is gone after the test."""
    yield lambda **options: write_spec(private_engine.cdi_directory, **options)
    remove_spec(private_engine.cdi_directory)


@pytest.fixture(scope="module")
def fake_libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled stand-in for the driver's library; what cuInit returns is set in the spec."""
    try:
        return compile_driver(tmp_path_factory.mktemp("driver"))
    except (OSError, subprocess.CalledProcessError) as error:
        lacking(f"no C compiler: {error}")


@pytest.fixture(scope="module")
def holder(launch: Launch, private_engine: PrivateEngine) -> Iterator[Any]:
    """What `up --json` printed for an environment that holds both GPUs."""
    write_spec(private_engine.cdi_directory)
    done = launch("up", "holder", "--mode", "jupyter", "--gpus", "all", "--skip-check", "--json")
    remove_spec(private_engine.cdi_directory)
    assert done.code == 0, done.stderr
    yield done.json
    launch("rm", "holder", "--yes")


@pytest.fixture
def nothing_left(private_engine: PrivateEngine) -> Iterator[None]:
    """The test leaves the engine as it was."""
    before = private_engine.everything()
    yield
    assert private_engine.everything() == before


def test_all_gpus_are_injected_and_recorded(holder: Any, private_engine: PrivateEngine) -> None:
    assert (holder["device"], holder["gpus"], holder["gpu_verified"]) == ("gpu", ["0", "1"], False)
    # The engine gives the spec's variables to the container's first process, which passes them on in this file.
    script = (
        "ls /dev/nvidia*; grep -ao DRIVER_NOTE=from-the-spec /run/gpu-launcher/environment; cat /usr/share/driver-note"
    )
    inside = private_engine.docker("exec", holder["container_id"], "sh", "-c", script).splitlines()
    assert inside[:4] == ["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl", "DRIVER_NOTE=from-the-spec"]
    assert "\n".join(inside[4:]) == Path("/etc/os-release").read_text().strip()
    container = json.loads(private_engine.docker("inspect", holder["container_id"]))[0]
    assert container["Config"]["Labels"]["gpu-launcher.gpus"] == '["0", "1"]'
    assert container["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["nvidia.com/gpu=all"]
    assert not container["HostConfig"]["Privileged"]


def test_the_container_knows_what_was_asked_for(holder: Any, private_engine: PrivateEngine) -> None:
    request = json.loads(private_engine.docker("exec", holder["container_id"], "cat", "/run/gpu-launcher/request.json"))
    assert (request["device"], request["gpus"]) == ("gpu", ["0", "1"])


def test_ls_and_status_show_who_holds_what(holder: Any, launch: Launch) -> None:
    rows = {row["name"]: row for row in launch("ls", "--json").json["environments"]}
    assert (rows["holder"]["device"], rows["holder"]["gpus"]) == ("gpu", ["0", "1"])
    assert "gpu 0,1" in launch("ls").stdout
    assert launch("status", "holder", "--json").json["gpus"] == ["0", "1"]


@pytest.mark.usefixtures("holder", "nothing_left")
@pytest.mark.parametrize("gpus", ["1", "2", "all", "device=1"])
def test_gpus_that_another_environment_holds_are_refused_with_its_name(
    launch: Launch, spec: Callable[..., None], gpus: str
) -> None:
    spec()
    done = launch("up", "second", "--mode", "jupyter", "--gpus", gpus, "--skip-check", "--json")
    assert done.code == 4
    assert "holder" in done.json["error"]["cause"]
    assert "--share" in done.json["error"]["next"]


@pytest.mark.usefixtures("holder", "nothing_left")
def test_auto_with_a_card_is_refused_when_every_gpu_is_held(launch: Launch, spec: Callable[..., None]) -> None:
    spec()
    done = launch("up", "second", "--mode", "jupyter", "--skip-check", "--json", on="card without driver")
    assert (done.code, "holder" in done.json["error"]["cause"]) == (4, True)


@pytest.mark.usefixtures("nothing_left")
def test_share_attaches_a_gpu_that_another_environment_holds(
    holder: Any, launch: Launch, spec: Callable[..., None], private_engine: PrivateEngine
) -> None:
    spec()
    shared = launch("up", "shared", "--mode", "jupyter", "--gpus", "device=1", "--share", "--skip-check", "--json")
    try:
        assert shared.code == 0, shared.stderr
        assert shared.json["gpus"] == ["1"]
        nodes = private_engine.docker("exec", shared.json["container_id"], "sh", "-c", "ls /dev/nvidia?")
        assert nodes == "/dev/nvidia1"
    finally:
        launch("rm", "shared", "--yes")


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
