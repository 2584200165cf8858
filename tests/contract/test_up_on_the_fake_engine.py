"""`up` from request to result on an engine in memory (simulated: engine, card, readiness)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from launcher import labels
from launcher.context import Context
from launcher.endpoint import Endpoint
from launcher.engine import EngineInfo, ExecResult, Image
from launcher.errors import ConflictError, NotReadyError
from launcher.progress import Progress
from launcher.spec import GpuRequest, Mode, UpRequest
from launcher.up import up
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
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    from launcher.images import _stack
    from launcher.setup.build import image_reference
    from launcher.setup.source import source_digest

    made = FakeEngine()
    for target in ("jupyter", "ssh"):
        stack = _stack(None)
        made.images[image_reference(stack, target)] = Image(
            "sha256:1", {labels.IMAGE_SOURCE: source_digest(stack, target)}
        )
    monkeypatch.setattr("launcher.up.ensure_engine", lambda progress, consent: None)
    monkeypatch.setattr("launcher.up.usable_check", lambda context, environment: lambda: True)
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info: ())
    return made


def context_for(engine: FakeEngine, tmp_path: Path, environ: Mapping[str, str] | None = None) -> Context:
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    context = Context(
        environ={"HOME": str(tmp_path / "home"), "ENVCHECK_ROOT": str(root), **(environ or {})},
        progress=Progress(StringIO()),
    )
    context.__dict__ |= {"engine": engine, "endpoint": Endpoint("unix:///simulated", "test"), "owner": 1000}
    return context


@pytest.fixture
def request_(tmp_path: Path) -> UpRequest:
    project = tmp_path / "project"
    project.mkdir()
    return UpRequest("demo", Mode.JUPYTER, project)


def test_cpu_is_said_first_and_why(engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    context = context_for(engine, tmp_path)
    result = up(context, request_)
    assert result.environment.device == "cpu" and result.gpu_verified is False
    assert result.url and result.url.startswith("http://127.0.0.1:")
    assert context.progress.stream.getvalue().splitlines()[0] == "Device: CPU (no NVIDIA card found on this machine)"  # type: ignore[attr-defined]


def test_again_gives_the_same_url_and_starts_nothing(engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    first = up(context_for(engine, tmp_path), request_)
    second = up(context_for(engine, tmp_path), request_)
    assert second.url == first.url
    assert len(engine.plans) == 1 and not engine.restarted


def test_token_and_port_survive_down(engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    first = up(context_for(engine, tmp_path), request_)
    engine.remove("gl-1000-demo")
    assert up(context_for(engine, tmp_path), request_).url == first.url


def test_what_does_not_answer_is_restarted(
    engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(context_for(engine, tmp_path), request_)
    monkeypatch.setattr("launcher.up.usable_check", lambda context, environment: lambda: bool(engine.restarted))
    up(context_for(engine, tmp_path), request_)
    assert engine.restarted == ["gl-1000-demo"]


@pytest.mark.parametrize("verb", ["create", "start"])
def test_a_failure_leaves_nothing(engine: FakeEngine, tmp_path: Path, request_: UpRequest, verb: str) -> None:
    engine.fail_on[verb] = NotReadyError("no space left on device", "Make room.")
    with pytest.raises(NotReadyError):
        up(context_for(engine, tmp_path), request_)
    assert (engine.rows, engine.networks, engine.kept) == ({}, {}, {})


def test_a_failure_keeps_what_was_there_before(engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    up(context_for(engine, tmp_path), request_)
    engine.remove("gl-1000-demo")
    before = dict(engine.kept)
    engine.fail_on["start"] = NotReadyError("no space left on device", "Make room.")
    with pytest.raises(NotReadyError):
        up(context_for(engine, tmp_path), request_)
    assert engine.kept == before


def test_a_port_taken_meanwhile_is_replaced(
    engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, refused = engine.start, []

    def start(name: str) -> None:
        if not refused:
            refused.append(engine.plans[name].host_port)
            raise ConflictError("the port is in use", "Choose another.", cause_id="docker-port-in-use")
        original(name)

    monkeypatch.setattr(engine, "start", start)
    result = up(context_for(engine, tmp_path), request_)
    assert result.environment.port not in refused


def test_foreign_container_of_our_name_is_untouched(engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    up(context_for(engine, tmp_path), request_)
    foreign = replace(engine.rows["gl-1000-demo"], labels={})
    engine.rows["gl-1000-demo"] = foreign
    with pytest.raises(ConflictError):
        up(context_for(engine, tmp_path), request_)
    assert engine.rows["gl-1000-demo"] == foreign


@pytest.mark.parametrize("down", [False, True])
def test_another_project_does_not_get_the_environment(
    engine: FakeEngine, tmp_path: Path, request_: UpRequest, down: bool
) -> None:
    up(context_for(engine, tmp_path), request_)
    if down:
        engine.remove("gl-1000-demo")
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ConflictError):
        up(context_for(engine, tmp_path), replace(request_, project=other))


@pytest.fixture
def gpu_engine(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine.information = EngineInfo("28.2", cdi_devices=CDI, memory_bytes=8 << 30)
    engine.answers = lambda name, command: PROVED
    from launcher.attach import HostGpu

    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info: (HostGpu(0, "0"), HostGpu(1, "1")))
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
    assert caught.value.cause_id == "cuda-unknown-init" and caught.value.next_step == "modprobe nvidia_uvm"
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
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info: ())
    with pytest.raises(NotReadyError, match="no NVIDIA card"):
        up(context_for(engine, tmp_path), replace(request_, gpus=GpuRequest("all")))
    assert engine.kept == {}
