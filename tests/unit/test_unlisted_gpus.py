"""Which GPUs are asked for where NVML is not at hand: by the engine's own list, or by names that nobody lists."""

from __future__ import annotations

import pytest

from envcheck.facts import Nvml, NvmlDevice
from launcher import labels
from launcher.attach import HostGpu
from launcher.engine import Attachment, EngineInfo
from launcher.errors import ConflictError
from launcher.gpus import devices_to_try, host_gpus, refuse_other_device
from launcher.spec import GpuRequest

REMOTE = EngineInfo("28", runtimes=("nvidia",), local=False)


@pytest.mark.parametrize(
    ("text", "held", "names"),
    [
        ("auto", {}, ("all",)),
        ("all", {}, ("all",)),
        ("device=1", {"0": ["x"]}, ("1",)),
        ("GPU-aaaa", {}, ("GPU-aaaa",)),
        ("2", {}, ("0", "1")),
        ("2", {"1": ["x"]}, ("0", "2")),
    ],
)
def test_an_engine_that_lists_no_gpus_gets_no_more_than_was_asked_for(
    text: str, held: dict[str, list[str]], names: tuple[str, ...]
) -> None:
    ways = devices_to_try(GpuRequest.parse(text), "card", REMOTE, (), held, share=False)
    assert [way.attachment for way in ways] == [Attachment("device-request", names), Attachment("runtime", names)]
    assert ways[0].gpus == names


@pytest.mark.parametrize(
    ("text", "held"), [("auto", {"0": ["x"]}), ("1", {"all": ["x"]}), ("device=0", {"0": ["x"]}), ("all", {"7": ["x"]})]
)
def test_what_is_held_is_refused_also_where_no_gpus_are_listed(text: str, held: dict[str, list[str]]) -> None:
    request = GpuRequest.parse(text)
    with pytest.raises(ConflictError, match="held by: x"):
        devices_to_try(request, "card", REMOTE, (), held, share=False)
    assert devices_to_try(request, "card", REMOTE, (), held, share=True)


@pytest.mark.parametrize(
    ("nvml", "found"),
    [
        (Nvml(devices=(NvmlDevice(3, "GPU-c", "H100"),)), (HostGpu(3, "GPU-c", "H100"),)),
        (Nvml(error="libnvidia-ml.so.1 is not there"), (HostGpu(0, "0"),)),
    ],
)
def test_nvml_lists_the_gpus_and_the_engine_where_nvml_cannot(
    monkeypatch: pytest.MonkeyPatch, nvml: Nvml, found: tuple[HostGpu, ...]
) -> None:
    monkeypatch.setattr("launcher.gpus.host_nvml", lambda info, root: nvml)
    assert host_gpus(EngineInfo("28", cdi_devices=("nvidia.com/gpu=0", "nvidia.com/gpu=all"))) == found


def test_an_environment_on_every_gpu_of_an_engine_that_lists_none_is_taken_as_it_is() -> None:
    found = {labels.DEVICE: "gpu", labels.GPUS: '["all"]'}
    refuse_other_device("demo", found, GpuRequest.parse("device=0"), True, tuple)
