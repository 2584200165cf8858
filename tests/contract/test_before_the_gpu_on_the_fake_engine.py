"""What is judged before a GPU is used, on an engine in memory (simulated: engine, cards, envcheck's answers)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from envcheck.facts import Nvml, NvmlDevice
from launcher.attach import HostGpu
from launcher.engine import EngineInfo, ExecResult
from launcher.errors import NotReadyError
from launcher.image_requirement import requirement_error
from launcher.spec import GpuRequest, UpRequest
from launcher.train import train
from launcher.up import up
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine

GEFORCE = 5
CARD = Nvml(True, None, None, 0, "550.54.15", 12040, (NvmlDevice(0, "GPU-a", "card", brand=GEFORCE),))
REQUIREMENT = {"NVIDIA_REQUIRE_CUDA": "cuda>=12.8"}
RIGHT = ExecResult(0, json.dumps({"verdict": "ok", "gpus": [{"uuid": "GPU-a"}]}), "")
WRONG = ExecResult(1, json.dumps({"root_cause": "gpu-compute-wrong", "findings": [{"summary": "GPU 0 is wrong"}]}), "")


@pytest.fixture
def card(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine.information = EngineInfo("28.2", runtimes=("nvidia",), memory_bytes=8 << 30)
    engine.answers = lambda name, command: RIGHT
    engine.images = {name: replace(image, environment=REQUIREMENT) for name, image in engine.images.items()}
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: (HostGpu(0, "GPU-a"),))
    monkeypatch.setattr("launcher.image_requirement.host_nvml", lambda info, root: CARD)
    monkeypatch.setattr("launcher.train.ensure_engine", lambda progress, consent: None)
    return engine


def test_an_image_that_requires_a_newer_driver_is_refused_before_anything_is_made(
    card: FakeEngine, tmp_path: Path, request_: UpRequest
) -> None:
    with pytest.raises(NotReadyError, match=r"requires cuda>=12.8, which driver 550.54.15 does not meet") as caught:
        up(context_for(card, tmp_path), replace(request_, gpus=GpuRequest("all")))
    assert caught.value.cause_id == "container-requirement-unsatisfied"
    assert (card.rows, card.networks, card.kept, card.plans) == ({}, {}, {}, {})


def test_a_variable_of_the_user_passes_the_requirement_over(
    card: FakeEngine, tmp_path: Path, request_: UpRequest
) -> None:
    request = replace(request_, gpus=GpuRequest("all"), variables=(("NVIDIA_DISABLE_REQUIRE", "1"),))
    assert up(context_for(card, tmp_path), request).gpu_verified


@pytest.mark.parametrize("gpus", ["all", "none"])
def test_neither_a_cdi_device_nor_the_cpu_is_bound_by_the_requirement(
    card: FakeEngine, tmp_path: Path, request_: UpRequest, gpus: str
) -> None:
    card.information = EngineInfo("28.2", cdi_devices=("nvidia.com/gpu=GPU-a", "nvidia.com/gpu=all"))
    up(context_for(card, tmp_path), replace(request_, gpus=GpuRequest(gpus)))
    assert card.rows["gl-1000-demo"].state == "running"


@pytest.mark.parametrize(
    ("requirement", "refused"),
    [("cuda>=12.8", True), ("cuda>=12.8 brand=geforce,driver>=550,driver<551", False), ("cuda~12", False)],
)
def test_a_requirement_refuses_only_what_it_certainly_does_not_admit(requirement: str, refused: bool) -> None:
    assert (requirement_error({"NVIDIA_REQUIRE_CUDA": requirement}, CARD) is not None) is refused


@pytest.mark.parametrize("skip", [False, True])
def test_training_starts_only_on_a_gpu_whose_numbers_are_right(
    card: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch, skip: bool
) -> None:
    trained: list[str] = []
    monkeypatch.setattr("launcher.train.run_in", lambda context, name, command: trained.append(name) or 0)
    card.images = {name: replace(image, environment={}) for name, image in card.images.items()}
    context, request = context_for(card, tmp_path), replace(request_, gpus=GpuRequest("all"))
    up(context, request)
    assert train(context, request, (), "demo") == 0
    card.answers = lambda name, command: WRONG if "--quick" in command else RIGHT
    if skip:
        assert train(context, replace(request, skip_check=True), (), "demo") == 0
    else:
        with pytest.raises(NotReadyError, match="GPU 0 is wrong"):
            train(context, request, (), "demo")
    assert trained == ["gl-1000-demo"] * (1 + skip)
