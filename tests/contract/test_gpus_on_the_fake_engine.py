"""Who gets which GPU, and what proves it, on an engine in memory (simulated: engine, cards, readiness, the proof)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from launcher import labels, lifecycle
from launcher.attach import HostGpu
from launcher.engine import Container, ContainerPlan, EngineInfo, ExecResult
from launcher.environments import from_container
from launcher.errors import ConflictError, GpuTakenError, NotReadyError
from launcher.gpu_holders import claim_gpus
from launcher.spec import GpuRequest, UpRequest
from launcher.up import up
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine

CDI = ("nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all")
PROVED = ExecResult(0, json.dumps({"verdict": "ok", "gpus": [{"uuid": "0"}, {"uuid": "1"}]}), "")
UNPROVED = ExecResult(
    1,
    json.dumps(
        {
            "root_cause": "cuda-unknown-init",
            "findings": [{"summary": "cuInit returned 999", "fix": ["modprobe nvidia_uvm"]}],
        }
    ),
    "",
)


@pytest.fixture
def gpu_engine(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine.information = EngineInfo("28.2", cdi_devices=CDI, memory_bytes=8 << 30)
    engine.answers = lambda name, command: PROVED
    from launcher.attach import HostGpu

    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: (HostGpu(0, "0"), HostGpu(1, "1")))
    return engine


def test_gpus_are_verified_by_the_proof(gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    result = up(context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest("all")))
    assert result.gpu_verified is True
    assert gpu_engine.plans["gl-1000-demo"].attachment.devices == ("nvidia.com/gpu=all",)  # type: ignore[union-attr]


def test_gpus_that_do_not_run_are_an_error_with_the_cause_and_leave_nothing(
    gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest
) -> None:
    gpu_engine.answers = lambda name, command: UNPROVED
    with pytest.raises(NotReadyError, match="cuInit returned 999") as caught:
        up(context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest("all")))
    assert caught.value.cause_id == "cuda-unknown-init" and caught.value.next_step.startswith("modprobe nvidia_uvm")
    assert (gpu_engine.rows, gpu_engine.networks, gpu_engine.kept) == ({}, {}, {})


def test_skip_check_reports_unverified(gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    gpu_engine.answers = lambda name, command: UNPROVED
    result = up(context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest("all"), skip_check=True))
    assert result.gpu_verified is False and result.environment.device == "gpu" and result.environment.gpus == ("0", "1")


def test_a_second_environment_does_not_get_a_held_gpu(
    gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest
) -> None:
    up(context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest("all")))
    with pytest.raises(ConflictError, match="demo"):
        up(context_for(gpu_engine, tmp_path), replace(request_, name="second", gpus=GpuRequest("count", count=1)))


def test_a_refused_attachment_falls_back_to_the_next_way(
    gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu_engine.information = EngineInfo("28.2", runtimes=("nvidia",), memory_bytes=8 << 30)
    original = gpu_engine.start

    def start(name: str) -> None:
        if gpu_engine.plans[name].attachment.kind == "device-request":  # type: ignore[union-attr]
            raise NotReadyError("the toolkit is in CDI mode", "x", cause_id="container-cdi-legacy-conflict")
        original(name)

    monkeypatch.setattr(gpu_engine, "start", start)
    up(context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest("all")))
    assert gpu_engine.plans["gl-1000-demo"].attachment.kind == "runtime"  # type: ignore[union-attr]


def test_gpus_asked_for_on_a_machine_without_any(
    engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: ())
    with pytest.raises(NotReadyError, match="no NVIDIA card"):
        up(context_for(engine, tmp_path), replace(request_, gpus=GpuRequest("all")))
    assert engine.kept == {}


@pytest.mark.parametrize(("given", "order"), [((), "PCI_BUS_ID"), ((("CUDA_DEVICE_ORDER", "FASTEST_FIRST"),), None)])
def test_cuda_counts_gpus_as_nvidia_smi_does_unless_told_otherwise(
    gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest, given: tuple[tuple[str, str], ...], order: str | None
) -> None:
    up(context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest("all"), variables=given))
    found = gpu_engine.plans["gl-1000-demo"].environment["CUDA_DEVICE_ORDER"]
    assert found == (order or "FASTEST_FIRST")


def test_without_a_gpu_no_variable_of_cuda_is_set(engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    up(context_for(engine, tmp_path), request_)
    assert "CUDA_DEVICE_ORDER" not in engine.plans["gl-1000-demo"].environment


def test_a_mask_given_by_hand_is_warned_of(gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    context = context_for(gpu_engine, tmp_path)
    up(context, replace(request_, gpus=GpuRequest("all"), variables=(("CUDA_VISIBLE_DEVICES", "0"),)))
    assert "-e CUDA_VISIBLE_DEVICES=0 hides GPUs" in context.progress.stream.getvalue()  # type: ignore[attr-defined]


def test_a_gpu_that_another_program_uses_is_left_to_it_and_that_is_said(
    gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = (HostGpu(0, "0", busy="1 process, 20 GB"), HostGpu(1, "1"))
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: gpus)
    context = context_for(gpu_engine, tmp_path)
    up(context, replace(request_, gpus=GpuRequest("count", count=1), skip_check=True))
    assert gpu_engine.rows["gl-1000-demo"].labels[labels.GPUS] == '["1"]'
    assert "Left to the programs that use it: GPU 0" in context.progress.stream.getvalue()  # type: ignore[attr-defined]


def rival(name: str, state: str, gpus: tuple[str, ...] = ("0",)) -> Container:
    return Container(f"id-{name}", name, state, labels={labels.NAME: name, labels.GPUS: json.dumps(gpus)})


def test_a_specification_that_names_gpus_by_number_only_serves(
    gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: (HostGpu(0, "GPU-a"), HostGpu(1, "GPU-b")))
    up(context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest("count", count=1), skip_check=True))
    assert gpu_engine.plans["gl-1000-demo"].attachment.devices == ("nvidia.com/gpu=0",)  # type: ignore[union-attr]


@pytest.mark.parametrize("state", ["created", "running", "paused", "restarting"])
def test_who_sees_another_claim_on_the_gpu_gives_way(engine: FakeEngine, state: str) -> None:
    engine.rows = {"mine": rival("mine", "created"), "alice": rival("alice", state)}
    with pytest.raises(GpuTakenError, match="alice"):
        claim_gpus(engine, "mine", ("0",))


@pytest.mark.parametrize("other", [rival("alice", "exited"), rival("alice", "running", ("1",))])
def test_stopped_environments_and_other_gpus_are_no_rivals(engine: FakeEngine, other: Container) -> None:
    engine.rows = {"alice": other}
    claim_gpus(engine, "mine", ("0",))


def test_of_two_that_see_each_other_one_waits_for_the_other_to_give_way(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.rows = {"alice": rival("alice", "created"), "bob": rival("bob", "created")}
    looks = []

    def give_way(_seconds: float) -> None:
        looks.append(1)
        engine.rows.pop("bob")

    monkeypatch.setattr("launcher.gpu_holders.time.sleep", give_way)
    claim_gpus(engine, "alice", ("0",))
    assert looks


@pytest.fixture
def quick_alice(gpu_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated: between our look and our container, somebody else's appears on the GPU we chose."""
    create = gpu_engine.create

    def slower(plan: ContainerPlan) -> str:
        gpu_engine.rows.setdefault("gl-7-alice", rival("gl-7-alice", "running"))
        return create(plan)

    monkeypatch.setattr(gpu_engine, "create", slower)


@pytest.mark.usefixtures("quick_alice")
def test_the_loser_of_a_race_gets_another_free_gpu(gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    gpu_engine.answers = lambda name, command: ExecResult(0, json.dumps({"gpus": [{"uuid": "1"}]}), "")
    result = up(context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest("count", count=1)))
    assert result.environment.gpus == ("1",)


@pytest.mark.usefixtures("quick_alice")
def test_a_named_gpu_that_somebody_else_was_quicker_to_take_is_refused_and_leaves_nothing(
    gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest
) -> None:
    with pytest.raises(ConflictError, match="alice"):
        up(context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest.parse("device=0")))
    assert (set(gpu_engine.rows), gpu_engine.networks, gpu_engine.kept) == ({"gl-7-alice"}, {}, {})


@pytest.mark.parametrize("again", ["up", "start"])
def test_a_stopped_environment_does_not_start_on_a_gpu_that_was_given_away(
    gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    monkeypatch.setattr("launcher.lifecycle.usable_check", lambda *_: lambda: True)
    context, request = context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest("all"))
    up(context, request)
    gpu_engine.stop("gl-1000-demo")
    gpu_engine.rows["gl-7-alice"] = rival("gl-7-alice", "running")
    with pytest.raises(GpuTakenError, match="alice"):
        if again == "up":
            up(context, request)
        else:
            lifecycle.start(context, from_container(gpu_engine.rows["gl-1000-demo"]))
    assert gpu_engine.rows["gl-1000-demo"].state == "exited"
    lifecycle.start(context, from_container(gpu_engine.rows["gl-1000-demo"]), share=True, skip_check=True)
    assert gpu_engine.rows["gl-1000-demo"].state == "running"


def test_other_gpus_inside_than_were_attached_are_an_error(
    gpu_engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: a CDI specification whose index 0 is another card by now."""
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: (HostGpu(0, "GPU-a"), HostGpu(1, "GPU-b")))
    gpu_engine.answers = lambda name, command: ExecResult(0, json.dumps({"gpus": [{"uuid": "GPU-b"}]}), "")
    with pytest.raises(NotReadyError, match="GPU-a was attached but the container has GPU-b"):
        up(context_for(gpu_engine, tmp_path), replace(request_, gpus=GpuRequest.parse("GPU-a")))
