"""Which GPU an environment gets where NVML tells what uses them, on a real engine >= 28 with real CDI injection.

Simulated: libnvidia-ml on this machine, by a library that cc compiles, and the spec's device nodes (all /dev/null).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.machines import Launch
from tests.end_to_end.private_engine import PrivateEngine

ONE = ("--mode", "jupyter", "--skip-check", "--json", "--gpus")


def card(index: int) -> str:
    return f"GPU-00000000-0000-0000-0000-{index:012}"


@pytest.mark.usefixtures("nothing_left")
def test_a_gpu_that_another_program_uses_is_left_to_it_and_gpus_shows_both(
    launch: Launch, spec: Callable[..., None], fake_nvml: Path, private_engine: PrivateEngine
) -> None:
    """Simulated: two cards, the first with a foreign process."""
    spec()
    nvml = {"LD_LIBRARY_PATH": str(fake_nvml.parent), "FAKE_NVML_COUNT": "2", "FAKE_NVML_BUSY": "4194304,0"}
    try:
        done = launch("up", "idle", *ONE, "1", environ=nvml)
        assert (done.code, done.json["gpus"]) == (0, [card(1)]), done.stderr
        assert "Left to the programs that use it: GPU 0" in done.stderr
        nodes = private_engine.docker("exec", done.json["container_id"], "sh", "-c", "ls /dev/nvidia?")
        assert nodes == "/dev/nvidia1"
        first, second = launch("gpus", "--json", environ=nvml).json["gpus"]
        assert (first["state"], first["busy"], first["processes"][0]["environment"]) == (
            "free",
            "1 process, 1.1 GB",
            None,
        )
        assert (second["state"], second["holders"][0]["name"]) == ("held", "idle")
        assert "held by idle" in launch("gpus", environ=nvml).stdout
    finally:
        launch("rm", "idle", "--yes")


@pytest.mark.usefixtures("nothing_left")
def test_an_instance_of_a_divided_card_is_attached_alone(
    launch: Launch, spec: Callable[..., None], fake_nvml: Path, private_engine: PrivateEngine
) -> None:
    """Simulated: a card in MIG mode with two instances."""
    spec(names=("0:0", "0:1"))
    nvml = {"LD_LIBRARY_PATH": str(fake_nvml.parent), "FAKE_NVML_MIG": "2"}
    try:
        done = launch("up", "part", *ONE, "0:1", environ=nvml)
        assert done.code == 0, done.stderr
        assert [gpu[:4] for gpu in done.json["gpus"]] == ["MIG-"]
        container = json.loads(private_engine.docker("inspect", done.json["container_id"]))[0]
        assert container["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["nvidia.com/gpu=0:1"]
        (whole,) = launch("gpus", "--json", environ=nvml).json["gpus"]
        assert [instance["state"] for instance in whole["instances"]] == ["free", "held"]
        refused = launch("up", "other", *ONE, "device=0", environ=nvml)
        assert (refused.code, "part" in refused.json["error"]["cause"]) == (4, True)
    finally:
        launch("rm", "part", "--yes")


@pytest.mark.usefixtures("nothing_left")
def test_gpus_without_nvml_are_those_of_the_engines_specification(launch: Launch, spec: Callable[..., None]) -> None:
    spec()
    found = launch("gpus", "--json").json
    assert (found["source"], [gpu["number"] for gpu in found["gpus"]]) == ("cdi", ["0", "1"])
    assert "CDI" in found["remark"]


@pytest.mark.usefixtures("nothing_left")
def test_gpus_on_a_machine_without_a_card_says_so_in_one_line(launch: Launch) -> None:
    shown, listed = launch("gpus"), launch("gpus", "--json")
    assert (shown.code, shown.stdout) == (0, "No GPU to list: no NVIDIA card found on this machine\n")
    assert (listed.code, listed.json["gpus"]) == (0, [])
