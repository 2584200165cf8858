"""An environment loses its GPU and gets it back, on a real engine >= 28 with real CDI injection.

Simulated: libcuda and libnvidia-ml, which answer 999 as soon as /dev/nvidia0 is not there, and the loss itself, by
removing that node from the container. (A reload of systemd leaves the node and forbids opening it; /dev/null, which
stands for it here, no container may be forbidden.) Real: engine, injection, image, envcheck, and the new container.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.machines import Launch
from tests.end_to_end.private_engine import PrivateEngine
from tests.waiting import eventually, wait_until

NODE = "/dev/nvidia0"


@pytest.fixture
def extra(tmp_path: Path) -> Path:
    """A directory of the user's that is mounted beside the project."""
    directory = tmp_path / "extra"
    directory.mkdir()
    (directory / "note").write_text("kept")
    for path in (*tmp_path.parents[:2], tmp_path, directory):
        path.chmod(0o755)
    return directory


@pytest.fixture
def environment(
    launch: Launch, spec: Callable[..., None], fake_libcuda: Path, fake_nvml: Path, extra: Path
) -> Iterator[Any]:
    """What `up --json` printed for an environment with a GPU that works."""
    spec(library=fake_libcuda, nvml=fake_nvml, names=("0",))
    options = ("--gpus", "all", "--share", "--mount", f"{extra}:/mnt/extra", "-e", f"FAKE_NODE={NODE}", "-e", "OWN=1")
    done = launch("up", "loser", "--mode", "jupyter", *options, "--json")
    assert done.code == 0, done.stderr
    yield done.json
    launch("rm", "loser", "--yes")


def lose(engine: PrivateEngine, container: str) -> None:
    """Simulated loss, in the running container."""
    engine.docker("exec", "--user", "0", container, "rm", NODE)


def status_of_gpu(launch: Launch) -> Any:
    """`gpu_lost` is null where the look inside takes more than five seconds, as it may on a busy machine."""
    return wait_until(lambda: known(launch("status", "loser", "--json").json), "an answer whether the GPU is there")


def known(status: Any) -> Any:
    return status if status["gpu_lost"] is not None else None


@pytest.mark.usefixtures("nothing_left")
def test_a_lost_gpu_is_seen_in_status_and_healed_with_all_that_was_there(
    environment: Any, launch: Launch, private_engine: PrivateEngine
) -> None:
    """Simulated: driver libraries, and the loss of the device node."""
    inside = ("exec", environment["container_id"], "sh", "-c")
    private_engine.docker(*inside, "echo mine > /home/user/mine; touch /tmp/gone")
    before = json.loads(private_engine.docker("inspect", environment["container_id"]))[0]
    assert status_of_gpu(launch)["gpu_lost"] is False
    unneeded = launch("heal", "loser", "--json")
    assert (unneeded.code, unneeded.json["healed"]) == (0, False), unneeded.stderr
    assert unneeded.json["container_id"] == environment["container_id"]

    lose(private_engine, environment["container_id"])
    status = status_of_gpu(launch)
    assert (status["gpu_lost"], status["next"]) == (True, "launcher heal loser")
    assert eventually(lambda: "launcher heal loser" in launch("status", "loser").stdout)

    healed = launch("heal", "loser", "--json")
    assert (healed.code, healed.json["healed"], healed.json["gpu_verified"]) == (0, True, True), healed.stderr
    assert healed.json["url"] == environment["url"]
    assert healed.json["container_id"] != environment["container_id"]
    after = json.loads(private_engine.docker("inspect", healed.json["container_id"]))[0]
    assert after["HostConfig"] == before["HostConfig"]
    assert after["Config"] == before["Config"]
    script = f"cat /home/user/mine /mnt/extra/note; ls {NODE}; ls /tmp/gone; pwd; echo $OWN"
    private_engine.docker("exec", healed.json["container_id"], "test", "-e", "/mnt/extra/note")
    seen = private_engine.docker("exec", healed.json["container_id"], "sh", "-c", f"{script} 2>/dev/null")
    assert seen.split() == ["mine", f"kept{NODE}", "/workspace", "1"]
    assert status_of_gpu(launch)["gpu_lost"] is False


@pytest.mark.usefixtures("nothing_left")
def test_where_a_new_container_cannot_be_made_the_old_one_goes_on(
    environment: Any, launch: Launch, private_engine: PrivateEngine, extra: Path
) -> None:
    """Simulated: driver libraries, the loss of the device node; real: a mounted directory that is gone."""
    lose(private_engine, environment["container_id"])
    moved = shutil.move(extra, extra.with_name("moved"))
    done = launch("heal", "loser", "--json")
    assert done.code != 0 and "directory" in done.json["error"]["cause"]
    shutil.move(moved, extra)
    status = launch("status", "loser", "--json").json
    assert (status["container_id"], status["url"]) == (environment["container_id"], environment["url"])
