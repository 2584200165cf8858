"""Who holds which GPU, on a real engine >= 28 with real CDI injection.

Simulated: the machine's card (files below ENVCHECK_ROOT) and the spec's device nodes (all /dev/null).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.machines import Launch, offer_gpus, withdraw_gpus
from tests.end_to_end.private_engine import PrivateEngine


@pytest.fixture(scope="module")
def holder(launch: Launch, private_engine: PrivateEngine) -> Iterator[Any]:
    """What `up --json` printed for an environment that holds both GPUs."""
    offer_gpus(private_engine)
    done = launch("up", "holder", "--mode", "jupyter", "--gpus", "all", "--skip-check", "--json")
    withdraw_gpus(private_engine)
    assert done.code == 0, done.stderr
    yield done.json
    launch("rm", "holder", "--yes")


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
def test_a_stopped_environment_gets_its_gpu_back_only_while_it_is_free(
    launch: Launch, spec: Callable[..., None]
) -> None:
    spec()
    one = ("--mode", "jupyter", "--gpus", "device=1", "--share", "--skip-check", "--json")
    try:
        assert launch("up", "sleeper", *one).code == 0
        assert launch("stop", "sleeper").code == 0
        assert launch("up", "taker", *one).code == 0
        refused = launch("start", "sleeper", "--json")
        assert refused.code == 4
        assert "taker" in refused.json["error"]["cause"]
        assert launch("start", "sleeper", "--share", "--skip-check", "--json").json["gpus"] == ["1"]
    finally:
        launch("rm", "sleeper", "--yes")
        launch("rm", "taker", "--yes")


@pytest.mark.usefixtures("nothing_left")
def test_of_eight_at_once_four_get_a_gpu_each_and_four_are_told_who_has_them(
    launch: Launch, spec: Callable[..., None]
) -> None:
    """Simulated: four cards in the specification."""
    spec(names="0123")
    stopped = launch("stop", "holder").code == 0
    names = [f"racer{index}" for index in range(8)]
    asked = ("--mode", "jupyter", "--gpus", "1", "--skip-check", "--json")
    try:
        with ThreadPoolExecutor(len(names)) as pool:
            done = dict(zip(names, pool.map(lambda name: launch("up", name, *asked), names), strict=True))
        winners = [name for name in names if done[name].code == 0]
        assert [done[name].code for name in names if name not in winners] == [4] * 4, [d.stderr for d in done.values()]
        assert sorted(gpu for name in winners for gpu in done[name].json["gpus"]) == ["0", "1", "2", "3"]
        refused = [done[name].json["error"]["cause"] for name in names if name not in winners]
        assert all("held by" in cause and any(name in cause for name in winners) for cause in refused)
        assert {gpu["state"] for gpu in launch("gpus", "--json").json["gpus"]} == {"held"}
    finally:
        for name in names:
            launch("rm", name, "--yes")
        if stopped:
            launch("start", "holder", "--share", "--skip-check")


@pytest.mark.usefixtures("nothing_left")
def test_two_at_once_never_get_the_same_gpu(launch: Launch, spec: Callable[..., None]) -> None:
    spec()
    stopped = launch("stop", "holder").code == 0
    names = ("first", "second")
    try:
        with ThreadPoolExecutor() as pool:
            asked = ("--mode", "jupyter", "--gpus", "1", "--skip-check", "--json")
            both = list(pool.map(lambda name: launch("up", name, *asked), names))
        assert [done.code for done in both] == [0, 0], [done.stderr for done in both]
        assert {gpu for done in both for gpu in done.json["gpus"]} == {"0", "1"}
    finally:
        for name in names:
            launch("rm", name, "--yes")
        if stopped:
            launch("start", "holder", "--share", "--skip-check")
