"""Which GPUs are chosen where other programs use some, how they are named, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from envcheck.facts import GpuUsage, NvmlDevice
from envcheck.facts_usage import GpuProcess
from launcher import labels
from launcher.attach import HostGpu
from launcher.errors import ConflictError, UsageError
from launcher.gpu_selection import choose_gpus, remarks
from launcher.gpus import BUSY_BYTES, refuse_other_device, used_by
from launcher.spec import GpuRequest

A, B, C = (HostGpu(index, f"GPU-{letter * 8}-0000", "H100") for index, letter in enumerate("abc"))
BUSY_A, BUSY_C = replace(A, busy="1 process, 20 GB"), replace(C, busy="1 process, 1 GB")
MIG = (
    HostGpu(0, "MIG-aaaaaaaa-0000-0000-0000-000000000000", "1g.10gb", 0, "GPU-cccc"),
    HostGpu(0, "MIG-bbbbbbbb-0000-0000-0000-000000000000", "1g.10gb", 1, "GPU-cccc"),
)


@pytest.mark.parametrize(
    ("text", "gpus", "held", "chosen"),
    [
        ("1", (BUSY_A, B, C), {}, (B,)),
        ("2", (BUSY_A, B, C), {}, (B, C)),
        ("2", (BUSY_A, B, BUSY_C), {}, (BUSY_A, B)),
        ("1", (BUSY_A, B, C), {B.uuid: ["x"], C.uuid: ["x"]}, (BUSY_A,)),
        ("auto", (BUSY_A, B, C), {}, (B, C)),
        ("auto", (BUSY_A, B, C), {B.uuid: ["x"]}, (C,)),
        ("auto", (BUSY_A, BUSY_C), {}, (BUSY_A, BUSY_C)),
        ("all", (BUSY_A, B, C), {}, (BUSY_A, B, C)),
        ("device=0", (BUSY_A, B, C), {}, (BUSY_A,)),
    ],
)
def test_gpus_that_nobody_uses_come_first(
    text: str, gpus: tuple[HostGpu, ...], held: dict[str, list[str]], chosen: tuple[HostGpu, ...]
) -> None:
    assert choose_gpus(GpuRequest.parse(text), gpus, held) == tuple(gpu.uuid for gpu in chosen)


def test_sharing_takes_what_no_environment_holds_first() -> None:
    held = {A.uuid: ["x"]}
    assert choose_gpus(GpuRequest.parse("1"), (A, B, C), held, share=True) == (B.uuid,)
    assert choose_gpus(GpuRequest.parse("3"), (A, B, C), held, share=True) == (A.uuid, B.uuid, C.uuid)
    assert choose_gpus(GpuRequest.parse("auto"), (BUSY_A, B), held, share=True) == (A.uuid, B.uuid)


@pytest.mark.parametrize(
    ("text", "gpus", "said"),
    [
        ("auto", (A, B), ()),
        ("1", (BUSY_A, B), ("Left to the programs that use it: GPU 0 (1 process, 20 GB)",)),
        ("auto", (BUSY_A,), ("Other programs use GPU 0 (1 process, 20 GB) too",)),
        ("device=0", (BUSY_A, B), ("Other programs use GPU 0",)),
        ("device=1", (BUSY_A, B), ()),
        ("all", MIG, ("A process computes on one MIG instance alone",)),
        ("1", MIG, ()),
    ],
)
def test_what_others_use_is_said_in_one_line(text: str, gpus: tuple[HostGpu, ...], said: tuple[str, ...]) -> None:
    request = GpuRequest.parse(text)
    lines = remarks(request, gpus, {}, choose_gpus(request, gpus, {}))
    assert len(lines) == len(said)
    assert all(line.startswith(start) for line, start in zip(lines, said, strict=True))


@pytest.mark.parametrize(
    ("text", "number"), [("0,GPU-aaaaaaaa-0000", 0), ("GPU-AAAAAAAA-0000,0", 0), ("0,1,GPU-bbbbbbbb-0000", 1)]
)
def test_a_gpu_named_by_number_and_by_uuid_is_named_twice(text: str, number: int) -> None:
    with pytest.raises(UsageError, match=rf"names GPU {number} .* twice"):
        choose_gpus(GpuRequest.parse(text), (A, B), {})


@pytest.mark.parametrize(
    ("text", "next_step"), [("GPU-aaaaaaab-0000", f"Did you mean {A.uuid}"), ("7", "launcher gpus")]
)
def test_a_gpu_that_is_not_there_gets_a_suggestion(text: str, next_step: str) -> None:
    with pytest.raises(UsageError, match="present: 0, 1") as caught:
        choose_gpus(GpuRequest.parse(f"0,{text}"), (A, B), {})
    assert next_step in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        (" 0 , 1 ", ("0", "1")),
        ("device=0,1", ("0", "1")),
        ('"device=0,1"', ("0", "1")),
        ("0:1", ("0:1",)),
        ("MIG-aaaaaaaa-0000-0000-0000-000000000000", ("MIG-aaaaaaaa-0000-0000-0000-000000000000",)),
    ],
)
def test_forms_of_naming_gpus(text: str, devices: tuple[str, ...]) -> None:
    assert GpuRequest.parse(text).devices == devices


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (None, ""),
        (GpuUsage(memory_used=1 << 30, processes=()), ""),
        (GpuUsage(memory_used=3 << 30, processes=()), "3.2 GB"),
        (GpuUsage(memory_used=1 << 30, processes=(GpuProcess(1, None, compute=False),)), ""),
        (GpuUsage(memory_used=1 << 30, processes=(GpuProcess(1), GpuProcess(2))), "2 processes, 1.1 GB"),
    ],
)
def test_a_card_is_in_use_by_computing_or_by_memory(usage: GpuUsage | None, words: str) -> None:
    assert used_by(NvmlDevice(0, "GPU-a", "H100", usage=usage)) == words


@pytest.mark.parametrize(("text", "same"), [("device=0", True), (A.uuid, True), ("device=1", False), ("0,1", False)])
def test_an_existing_environment_is_compared_by_which_gpus_the_names_mean(text: str, same: bool) -> None:
    found = {labels.DEVICE: "gpu", labels.GPUS: json.dumps([A.uuid])}
    if same:
        refuse_other_device("demo", found, GpuRequest.parse(text), True, lambda: (A, B))
        return
    with pytest.raises(ConflictError, match="environment demo runs on"):
        refuse_other_device("demo", found, GpuRequest.parse(text), True, lambda: (A, B))


def test_memory_just_at_the_limit_is_a_desktops() -> None:
    at_limit = GpuUsage(memory_used=BUSY_BYTES, processes=())
    assert used_by(NvmlDevice(0, "GPU-a", "RTX", usage=at_limit)) == ""
    assert used_by(NvmlDevice(0, "GPU-a", "RTX", usage=replace(at_limit, memory_used=BUSY_BYTES + 1))) != ""
