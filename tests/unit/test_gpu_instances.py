"""GPUs by their specifications, and divided cards (MIG): how instances are named, attached, proved and used."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from envcheck.facts import GpuUsage, Nvml, NvmlDevice
from envcheck.facts_usage import MigInstance
from launcher.attach import HostGpu
from launcher.engine import Attachment, EngineInfo, ExecResult
from launcher.errors import NotReadyError
from launcher.gpu_selection import choose_gpus
from launcher.gpus import attachable, devices_to_try, specified
from launcher.proof import judge_proof
from launcher.spec import GpuRequest
from launcher.train import ranks

A = HostGpu(0, "GPU-aaaaaaaa-0000", "H100")
MIG = (
    HostGpu(0, "MIG-aaaaaaaa-0000-0000-0000-000000000000", "1g.10gb", 0, "GPU-cccc"),
    HostGpu(0, "MIG-bbbbbbbb-0000-0000-0000-000000000000", "1g.10gb", 1, "GPU-cccc"),
)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("0:1", MIG[1:]), ("device=0", MIG), ("GPU-cccc", MIG), (MIG[0].uuid, MIG[:1]), ("1", MIG[:1]), ("auto", MIG)],
)
def test_instances_are_named_by_number_uuid_or_card(text: str, chosen: tuple[HostGpu, ...]) -> None:
    assert choose_gpus(GpuRequest.parse(text), MIG, {}) == tuple(gpu.uuid for gpu in chosen)


def test_a_card_in_mig_mode_is_replaced_by_its_instances() -> None:
    divided = NvmlDevice(
        0, "GPU-cccc", "A100", mig=True, usage=GpuUsage(instances=(MigInstance(3, "MIG-x", "A100 MIG 1g.5gb"),))
    )
    assert attachable(Nvml(devices=(divided, NvmlDevice(1, "GPU-b", "A100")))) == (
        HostGpu(0, "MIG-x", "A100 MIG 1g.5gb", 3, "GPU-cccc"),
        HostGpu(1, "GPU-b", "A100"),
    )
    with pytest.raises(NotReadyError, match="MIG mode and has no instance"):
        attachable(Nvml(devices=(replace(divided, usage=GpuUsage()),)))


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (("0", "1", "GPU-a", "GPU-b", "all"), ["0", "1"]),
        (("0:0", "0:1", "1", "MIG-x", "all"), ["0:0", "0:1", "1"]),
        (("all",), []),
    ],
)
def test_the_engines_specifications_name_each_gpu_once(names: tuple[str, ...], numbers: list[str]) -> None:
    info = EngineInfo("28", cdi_devices=tuple(f"nvidia.com/gpu={name}" for name in names))
    assert [gpu.number for gpu in specified(info)] == numbers


def test_specifications_without_numbers_name_gpus_by_uuid() -> None:
    info = EngineInfo("28", cdi_devices=("nvidia.com/gpu=GPU-a", "nvidia.com/gpu=all"))
    assert [gpu.uuid for gpu in specified(info)] == ["GPU-a"]


@pytest.mark.parametrize(
    ("names", "devices"),
    [(("0:0", "0:1", "all"), ("nvidia.com/gpu=0:1",)), ((MIG[1].uuid, "all"), (f"nvidia.com/gpu={MIG[1].uuid}",))],
)
def test_an_instance_is_attached_by_the_name_its_specification_has(
    names: tuple[str, ...], devices: tuple[str, ...]
) -> None:
    info = EngineInfo("28", runtimes=("nvidia",), cdi_devices=tuple(f"nvidia.com/gpu={name}" for name in names))
    ways = devices_to_try(GpuRequest.parse("0:1"), "card", info, MIG, {}, share=False)
    assert [way.attachment for way in ways] == [
        Attachment("cdi", devices),
        Attachment("device-request", (MIG[1].uuid,)),
        Attachment("runtime", (MIG[1].uuid,)),
    ]
    assert ways[0].gpus == (MIG[1].uuid,)


def proof(*uuids: str) -> ExecResult:
    return ExecResult(0, json.dumps({"gpus": [{"uuid": uuid} for uuid in uuids]}), "")


def test_of_several_instances_a_process_sees_one_of_those_attached() -> None:
    judge_proof(proof(MIG[1].uuid), [gpu.uuid for gpu in MIG])
    judge_proof(proof(MIG[1].uuid), [MIG[1].uuid])
    judge_proof(proof("GPU-by-an-older-driver"), [gpu.uuid for gpu in MIG])
    with pytest.raises(NotReadyError, match="MIG instance"):
        judge_proof(proof("MIG-cccccccc-0000-0000-0000-000000000000"), [gpu.uuid for gpu in MIG])
    with pytest.raises(NotReadyError, match="has none"):
        judge_proof(proof(), ["0:1"])


def test_gpus_known_by_number_are_compared_by_how_many_they_are() -> None:
    judge_proof(proof(A.uuid), ["0"])
    with pytest.raises(NotReadyError, match="2 GPU"):
        judge_proof(proof(A.uuid), ["0", "1"])


def test_training_starts_one_process_a_card_and_one_for_instances() -> None:
    assert (ranks(("GPU-a", "GPU-b")), ranks([gpu.uuid for gpu in MIG]), ranks(())) == (2, 1, 0)
