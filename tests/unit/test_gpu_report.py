"""Who holds which GPU and what runs on it: from NVML's facts and the engine's list to words and JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from envcheck.facts import GpuUsage, NvmlDevice
from envcheck.facts_usage import GpuProcess, MigInstance
from launcher import labels
from launcher.attach import HostGpu
from launcher.engine import Container
from launcher.gpu_processes import Origin, origin_of, user_name
from launcher.gpu_report import GpuReport, GpuState, from_names, from_nvml
from launcher.render_gpus import gpus_text

GIB = 1 << 30
IDENTIFIER = "0123456789abcdef" * 4
NOW = 1_764_050_400.0


def container(name: str, *gpus: str, state: str = "running", identifier: str = "1", since: int = 0) -> Container:
    values = {labels.NAME: name, labels.OWNER: "4242", labels.GPUS: json.dumps(gpus)}
    return Container(identifier, f"gl-4242-{name}", state, labels=values, created=since)


def card(index: int, **usage: object) -> NvmlDevice:
    used = GpuUsage(**{"memory_used": GIB, "utilisation": 0, "processes": (), **usage})  # type: ignore[arg-type]
    return NvmlDevice(index, f"GPU-{index}", "H100", memory_total=80 * GIB, usage=used)


def unseen(_pid: int) -> Origin:
    return Origin()


@pytest.mark.parametrize(
    ("containers", "states"),
    [
        ([], ["free", "free"]),
        ([container("a", "GPU-0")], ["held", "free"]),
        ([container("a", "GPU-0", state="exited")], ["free", "free"]),
        ([container("a", "GPU-0", state="paused"), container("b", "GPU-0", "GPU-1")], ["shared", "held"]),
        ([container("a", "all")], ["held", "held"]),
        ([container("a", "1")], ["free", "held"]),
        ([container("cpu")], ["free", "free"]),
    ],
)
def test_each_gpu_has_one_word_for_who_holds_it(containers: list[Container], states: list[str]) -> None:
    assert [gpu.state for gpu in from_nvml([card(0), card(1)], containers, unseen)] == states


def test_instances_have_their_own_holders_and_the_card_is_divided() -> None:
    instances = (MigInstance(0, "MIG-a", "1g.10gb", 10 * GIB, GIB), MigInstance(1, "MIG-b", "1g.10gb"))
    divided = card(0, instances=instances)
    (found,) = from_nvml([divided], [container("a", "MIG-a"), container("b", "0:1")], unseen)
    assert found.state == "divided"
    assert [(i.number, i.state, i.holders[0].name) for i in found.instances] == [
        ("0:0", "held", "a"),
        ("0:1", "held", "b"),
    ]
    assert "0 of 2 free" in gpus_text(GpuReport((found,), "nvml"), NOW)


def test_a_process_is_told_by_its_environment_where_it_runs_in_one() -> None:
    origins = {7: Origin("alice", IDENTIFIER), 8: Origin("bob"), 9: Origin()}
    busy = card(0, processes=tuple(GpuProcess(pid, GIB) for pid in origins))
    (found,) = from_nvml([busy], [container("a", "GPU-0", identifier=IDENTIFIER)], origins.__getitem__)
    told = [(p.pid, p.owner, p.environment) for p in found.processes or ()]
    assert told == [(7, "alice", "a"), (8, "bob", None), (9, None, None)]
    assert found.busy == "", "it is the environment's own"


def test_a_free_gpu_that_other_programs_use_says_so() -> None:
    (found,) = from_nvml([card(0, memory_used=20 * GIB)], [], unseen)
    assert (found.state, found.busy) == ("free", "21.5 GB")
    assert "used by other programs: 21.5 GB" in gpus_text(GpuReport((found,), "nvml"), NOW)


def test_names_of_a_specification_have_holders_and_no_figures() -> None:
    (found,) = from_names([HostGpu(0, "0")], [container("a", "0")])
    assert (found.state, found.memory_total, found.processes) == ("held", None, None)


def test_the_json_object_has_bytes_percent_and_utc() -> None:
    held = container("a", "GPU-0", since=1_764_043_200)
    (found,) = from_nvml([card(0, processes=(GpuProcess(7, None),))], [held], unseen)
    assert GpuReport((found,), "nvml").to_json() == {
        "gpus": [
            {
                "index": 0,
                "number": "0",
                "uuid": "GPU-0",
                "name": "H100",
                "state": "held",
                "busy": None,
                "memory_used": GIB,
                "memory_total": 80 * GIB,
                "utilisation": 0,
                "processes": [{"pid": 7, "memory": None, "owner": None, "environment": None}],
                "holders": [{"name": "a", "owner": 4242, "since": "2025-11-25T04:00:00+00:00"}],
                "mig": None,
                "instances": [],
            }
        ],
        "source": "nvml",
        "remark": None,
    }


def test_the_text_names_holder_user_and_how_long() -> None:
    (found,) = from_nvml(
        [card(0, processes=(GpuProcess(7, GIB),))], [container("a", "GPU-0", since=1764043200)], unseen
    )
    assert gpus_text(GpuReport((found,), "nvml"), NOW) == (
        "GPU  NAME                                       MEMORY   USE  STATE\n"
        "0    H100                             1.1 GB / 85.9 GB   0 %  held\n"
        "     GPU-0\n"
        "     held by a (4242, for 2 h)\n"
        "     pid 7           1.1 GB  unknown user, in no environment\n"
        "0 of 1 free\n"
    )


def test_no_line_is_longer_than_a_terminal() -> None:
    name, user = "n" * 49, "u" * 32
    longest = GpuState(
        index=15,
        number="15:6",
        uuid="MIG-00000000-0000-0000-0000-000000000000",
        name="NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        memory_used=999_900_000_000,
        memory_total=999_900_000_000,
        utilisation=100,
        instances=(GpuState(15, "15:0", "MIG-x", "x" * 96),),
    )
    held = from_nvml(
        [card(0, processes=(GpuProcess(4_194_304, GIB),))], [container(name, "GPU-0")], lambda _: Origin(user)
    )
    lines = gpus_text(GpuReport((longest, *held), "nvml"), NOW).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(name in line for line in lines)


def test_whose_process_and_container_a_pid_is(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(f"0::/system.slice/docker-{IDENTIFIER}.scope\n")
    (tmp_path / "8").mkdir()
    (tmp_path / "8/cgroup").write_text("0::/user.slice/session-1.scope\n")
    own = user_name(os.getuid())
    assert [origin_of(pid, tmp_path) for pid in (7, 8, 9)] == [Origin(own, IDENTIFIER), Origin(own), Origin()]
