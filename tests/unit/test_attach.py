"""Which GPUs a request gets and how an engine passes them through."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from launcher import labels
from launcher.attach import HostGpu, attachments
from launcher.engine import Attachment, EngineInfo
from launcher.errors import ConflictError, NotReadyError, UsageError
from launcher.gpu_selection import choose_gpus
from launcher.gpus import refuse_other_device
from launcher.spec import GpuRequest

GPUS = (HostGpu(0, "GPU-a"), HostGpu(1, "GPU-b"), HostGpu(2, "GPU-c"))
CDI = ("nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=2", "nvidia.com/gpu=all")


@pytest.mark.parametrize(
    ("text", "held", "chosen"),
    [
        ("auto", {}, ("GPU-a", "GPU-b", "GPU-c")),
        ("auto", {"GPU-a": ["x"]}, ("GPU-b", "GPU-c")),
        ("all", {}, ("GPU-a", "GPU-b", "GPU-c")),
        ("1", {"GPU-a": ["x"]}, ("GPU-b",)),
        ("0,2", {"GPU-b": ["x"]}, ("GPU-a", "GPU-c")),
        ("GPU-c", {}, ("GPU-c",)),
    ],
)
def test_free_gpus_are_chosen(text: str, held: dict[str, list[str]], chosen: tuple[str, ...]) -> None:
    assert choose_gpus(GpuRequest.parse(text), GPUS, held) == chosen


@pytest.mark.parametrize("text", ["all", "3", "0,1", "GPU-a"])
def test_held_gpus_conflict_and_name_the_holder(text: str) -> None:
    with pytest.raises(ConflictError, match="alice-run"):
        choose_gpus(GpuRequest.parse(text), GPUS, {"GPU-a": ["alice-run"]})


def test_auto_conflicts_only_when_none_is_free() -> None:
    held = {gpu.uuid: ["alice-run"] for gpu in GPUS}
    with pytest.raises(ConflictError):
        choose_gpus(GpuRequest("auto"), GPUS, held)
    assert choose_gpus(GpuRequest("auto"), GPUS, held, share=True) == ("GPU-a", "GPU-b", "GPU-c")


@pytest.mark.parametrize("text", ["4", "3,4", "GPU-d"])
def test_gpus_that_do_not_exist_are_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        choose_gpus(GpuRequest.parse(text), GPUS, {})


def test_cdi_comes_first_then_the_device_request_then_the_runtime() -> None:
    info = EngineInfo("28", runtimes=("runc", "nvidia"), cdi_devices=CDI)
    assert attachments(info, ("0", "1"), every=False) == (
        Attachment("cdi", ("nvidia.com/gpu=0", "nvidia.com/gpu=1")),
        Attachment("device-request", ("0", "1")),
        Attachment("runtime", ("0", "1")),
    )


def test_every_gpu_uses_the_all_device() -> None:
    assert attachments(EngineInfo("28", cdi_devices=CDI), ("0", "1", "2"), every=True) == (
        Attachment("cdi", ("nvidia.com/gpu=all",)),
    )


def test_a_device_without_a_spec_entry_does_not_use_cdi() -> None:
    info = EngineInfo("28", runtimes=("nvidia",), cdi_devices=CDI)
    assert [way.kind for way in attachments(info, ("GPU-a",), every=False)] == ["device-request", "runtime"]


def test_an_engine_without_any_way_names_the_toolkit() -> None:
    with pytest.raises(NotReadyError, match="NVIDIA Container Toolkit") as caught:
        attachments(EngineInfo("20.10", runtimes=("runc",)), ("0",), every=True)
    assert caught.value.cause_id == "container-no-gpu-runtime"


@pytest.mark.parametrize(
    ("text", "wanted", "has", "refused"),
    [
        ("auto", True, ("gpu", '["0", "1"]', "card"), False),
        ("auto", True, ("cpu", "[]", "no NVIDIA card found on this machine"), True),
        ("auto", True, ("cpu", "[]", "asked for with --gpus none"), False),
        ("auto", False, ("cpu", "[]", "no NVIDIA card found on this machine"), False),
        ("none", False, ("cpu", "[]", "no NVIDIA card found on this machine"), False),
        ("none", False, ("gpu", '["0"]', "card"), True),
        ("all", True, ("cpu", "[]", "asked for with --gpus none"), True),
        ("2", True, ("gpu", '["0"]', "card"), True),
        ("1", True, ("gpu", '["0"]', "card"), False),
        ("0,1", True, ("gpu", '["1", "0"]', "card"), False),
        ("device=1", True, ("gpu", '["0"]', "card"), True),
    ],
)
def test_an_existing_environment_on_another_device_is_refused(
    text: str, wanted: bool, has: tuple[str, str, str], refused: bool
) -> None:
    found = dict(zip((labels.DEVICE, labels.GPUS, labels.DEVICE_REASON), has, strict=True))
    with pytest.raises(ConflictError, match="environment demo runs on") if refused else nullcontext():
        refuse_other_device("demo", found, GpuRequest.parse(text), wanted)


@pytest.mark.parametrize(("local", "step"), [(True, "Run: sudo nvidia-ctk"), (False, "On the engine's machine, run")])
def test_podman_without_a_spec_names_the_command_that_makes_one(local: bool, step: str) -> None:
    with pytest.raises(NotReadyError, match="Podman") as caught:
        attachments(EngineInfo("4.3.1", podman=True, local=local), ("0",), every=True)
    assert caught.value.cause_id == "container-no-gpu-runtime" and caught.value.next_step.startswith(step)


def test_podman_has_one_way() -> None:
    info = EngineInfo("4.3.1", podman=True, cdi_devices=CDI)
    assert attachments(info, ("0",), every=False) == (Attachment("cdi", ("nvidia.com/gpu=0",)),)
