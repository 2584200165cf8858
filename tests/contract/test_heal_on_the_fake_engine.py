"""`heal`, and the hint in `status`, on an engine in memory (simulated: engine, cards, readiness, envcheck's words)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from envcheck.facts import Nvml
from launcher import labels
from launcher.attach import HostGpu
from launcher.context import Context
from launcher.engine import Container, EngineInfo, ExecResult
from launcher.environments import Environment, from_container
from launcher.errors import GpuTakenError, LauncherError, NotReadyError, UsageError
from launcher.gpu_loss import LOOK
from launcher.heal import heal
from launcher.inspection import inspect_environment
from launcher.proof import KERNEL
from launcher.render import status_text
from launcher.spec import GpuRequest, UpRequest
from launcher.up import up
from tests.contract.conftest import context_for
from tests.contract.counting_engine import CountingEngine
from tests.contract.fake_engine import FakeEngine

NAME = "gl-1000-demo"
PROVED = ExecResult(0, json.dumps({"verdict": "ok", "gpus": [{"uuid": "0"}]}), "")


def failing(cause: str) -> ExecResult:
    finding = {"summary": "this container lost its GPU", "cause": cause, "fix": ["do this"]}
    return ExecResult(1, json.dumps({"verdict": "fail", "root_cause": cause, "findings": [finding]}), "")


@pytest.fixture
def context(engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch) -> Context:
    """With environment `demo` on GPU 0, which works."""
    engine.information = EngineInfo("28.2", cdi_devices=("nvidia.com/gpu=0",), memory_bytes=8 << 30)
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: (HostGpu(0, "0"),))
    for module in ("heal", "inspection"):
        monkeypatch.setattr(f"launcher.{module}.usable_check", lambda *_: lambda: True)
    engine.answers = lambda name, command: PROVED
    made = context_for(engine, tmp_path)
    up(made, replace(request_, gpus=GpuRequest("all"), variables=(("A", "1"),)))
    return made


def lost_until_made_anew(engine: FakeEngine, cause: str = "container-lost-gpu") -> Callable[..., ExecResult]:
    return lambda name, command: PROVED if engine.recreated else failing(cause)


def demo(engine: FakeEngine) -> Environment:
    return from_container(engine.rows[NAME])


def test_a_lost_gpu_comes_back_in_a_container_of_the_same_plan(engine: FakeEngine, context: Context) -> None:
    before, files, plan = engine.rows[NAME], dict(engine.files), engine.plans[NAME]
    engine.answers = lost_until_made_anew(engine)
    done = heal(context, demo(engine))
    assert engine.recreated == [NAME] and engine.rows[NAME].state == "running"
    assert (engine.rows[NAME].labels, engine.files, engine.plans[NAME]) == (before.labels, files, plan)
    answer = done.to_json()
    assert (answer["healed"], answer["gpu_verified"], answer["state"]) == (True, True, "running")
    assert f"port {done.result.environment.port}" in answer["kept"] and "the token" in answer["kept"]
    assert any("process" in what for what in answer["ended"])


def test_gpus_that_work_are_left_alone(engine: FakeEngine, context: Context) -> None:
    done = heal(context, demo(engine))
    assert (engine.recreated, engine.restarted, done.lost) == ([], [], None)
    assert done.to_json()["kept"] == []


def test_a_fault_that_a_new_container_would_not_mend_ends_nothing(engine: FakeEngine, context: Context) -> None:
    engine.answers = lambda name, command: failing("gpu-fallen-off-bus")
    with pytest.raises(NotReadyError, match="a new container would not help") as caught:
        heal(context, demo(engine))
    assert engine.recreated == [] and caught.value.cause_id == "gpu-fallen-off-bus"
    assert engine.rows[NAME].state == "running"


def test_gpus_that_the_machine_itself_lost_are_not_blamed_on_the_container(
    engine: FakeEngine, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Nvml(error="nvmlInit returned 999 (NVML_ERROR_UNKNOWN)", init_code=999)
    monkeypatch.setattr("launcher.heal.host_nvml", lambda info, root: lost)
    engine.answers = lost_until_made_anew(engine)
    with pytest.raises(NotReadyError, match="on the machine itself"):
        heal(context, demo(engine))
    assert engine.recreated == [] and engine.rows[NAME].state == "running"


def test_a_gpu_that_does_not_come_back_is_an_error_and_the_container_stays(
    engine: FakeEngine, context: Context
) -> None:
    engine.answers = lambda name, command: failing("container-lost-gpu")
    with pytest.raises(NotReadyError, match="lost its GPU"):
        heal(context, demo(engine))
    assert NAME in engine.rows and engine.kept


def test_where_the_engine_refuses_the_old_container_goes_on(engine: FakeEngine, context: Context) -> None:
    engine.answers = lost_until_made_anew(engine)
    engine.fail_on["recreate"] = NotReadyError("bind source path does not exist", "x")
    with pytest.raises(NotReadyError, match="bind source"):
        heal(context, demo(engine))
    assert engine.rows[NAME].state == "running"


def other(name: str) -> Container:
    return Container("id-2", name, "running", labels={labels.NAME: "alice", labels.GPUS: '["0"]'})


def test_who_shared_the_gpu_before_may_go_on_sharing(engine: FakeEngine, context: Context) -> None:
    engine.rows["gl-7-alice"] = other("gl-7-alice")
    engine.answers = lost_until_made_anew(engine)
    assert heal(context, demo(engine)).lost is not None


def test_a_gpu_taken_while_the_container_was_made_is_not_taken_back(
    engine: FakeEngine, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    recreate = engine.recreate

    def slower(name: str) -> None:
        recreate(name)
        engine.rows["gl-7-alice"] = other("gl-7-alice")

    monkeypatch.setattr(engine, "recreate", slower)
    engine.answers = lost_until_made_anew(engine)
    with pytest.raises(GpuTakenError, match="alice"):
        heal(context, demo(engine))
    assert engine.rows[NAME].state == "created"


@pytest.mark.parametrize(("state", "error"), [("exited", "is stopped"), ("paused", "is paused"), ("down", "is down")])
def test_what_does_not_run_is_not_healed(engine: FakeEngine, context: Context, state: str, error: str) -> None:
    environment = replace(demo(engine), state={"exited": "stopped"}.get(state, state))
    with pytest.raises(NotReadyError, match=error) as caught:
        heal(context, environment)
    assert "launcher " in caught.value.next_step


def test_an_environment_on_the_cpu_has_no_gpu_to_lose(engine: FakeEngine, context: Context) -> None:
    with pytest.raises(UsageError, match="runs on the CPU"):
        heal(context, replace(demo(engine), device="cpu", device_reason="asked for with --gpus none"))


@pytest.mark.parametrize(("answer", "lost"), [(failing("container-lost-gpu"), True), (PROVED, False)])
def test_status_says_that_a_gpu_is_lost_and_what_to_do(
    engine: FakeEngine, context: Context, answer: ExecResult, lost: bool
) -> None:
    engine.answers = lambda name, command: answer
    found = inspect_environment(context, demo(engine))
    assert found.to_json()["gpu_lost"] is lost
    assert found.to_json()["next"] == ("launcher heal demo" if lost else None)
    assert ("launcher heal demo" in status_text(found)) is lost


@pytest.mark.parametrize("answer", [ExecResult(124, "", ""), ExecResult(127, "", "not found")])
def test_status_does_not_guess_where_envcheck_does_not_answer(
    engine: FakeEngine, context: Context, answer: ExecResult
) -> None:
    engine.answers = lambda name, command: answer
    assert inspect_environment(context, demo(engine)).gpu_lost is None


def test_status_of_an_engine_that_refuses_the_look_is_a_status_all_the_same(
    engine: FakeEngine, context: Context
) -> None:
    def refuse(name: str, command: tuple[str, ...]) -> ExecResult:
        raise LauncherError("the engine refused", "x")

    engine.answers = refuse
    assert inspect_environment(context, demo(engine)).environment.state == "running"


def test_status_looks_once_for_few_seconds_and_on_gpus_alone(engine: FakeEngine, context: Context) -> None:
    asked: list[tuple[str, ...]] = []
    engine.answers = lambda name, command: asked.append(command) or PROVED  # type: ignore[func-returns-value]
    counting = CountingEngine(engine)
    context.__dict__["engine"] = counting
    inspect_environment(context, demo(engine))
    assert asked == [LOOK] and LOOK[0] == "timeout" and LOOK != KERNEL
    inspect_environment(context, replace(demo(engine), device="cpu"))
    inspect_environment(context, replace(demo(engine), state="stopped"))
    assert counting.calls["execute"] == 1
