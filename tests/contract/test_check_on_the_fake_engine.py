"""`check`: which layer is named (simulated: engine, machine, and what envcheck says in the container)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from launcher.check import check
from launcher.context import Context
from launcher.engine import ExecResult
from launcher.errors import NotReadyError, UsageError
from launcher.render import comparison_text
from launcher.spec import GpuRequest, UpRequest
from launcher.up import up
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine
from tests.end_to_end.machines import machine


def finding(check_id: str, status: str, cause: str | None = None) -> dict[str, object]:
    return {"check": check_id, "status": status, "cause": cause, "summary": f"{check_id} said so", "fix": ["repair it"]}


def answer(verdict: str, root_cause: str | None, *findings: dict[str, object]) -> ExecResult:
    report = {"verdict": verdict, "root_cause": root_cause, "findings": list(findings)}
    return ExecResult(1 if verdict == "fail" else 0, json.dumps(report), "")


HEALTHY = answer("no-gpu", None, finding("shared-memory", "ok"), finding("cuda-init", "skip"))
BROKEN = answer("fail", "cuda-compat-mismatch", finding("cuda-init", "fail", "cuda-compat-mismatch"))


@pytest.fixture
def running(engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> Context:
    context = context_for(engine, tmp_path)
    up(context, replace(request_, gpus=GpuRequest("none")))
    engine.answers = lambda name, command: HEALTHY
    return context


def test_nothing_broken_is_no_layer(running: Context) -> None:
    comparison = check(running, None)
    assert (comparison.name, comparison.broken) == ("demo", None)
    assert comparison.to_json()["first_broken"] is None
    shown = comparison_text(comparison).splitlines()
    assert shown[0].split() == ["CHECK", "THIS", "MACHINE", "demo"]
    assert any(row.split() == ["shared-memory", "-", "ok"] for row in shown)
    assert "cuda-init" not in comparison_text(comparison)


def test_a_broken_container_on_a_healthy_machine(running: Context, engine: FakeEngine) -> None:
    engine.answers = lambda name, command: BROKEN
    comparison = check(running, "demo")
    assert comparison.to_json()["first_broken"] == {
        "layer": "container",
        "check": "cuda-init",
        "cause": "cuda-compat-mismatch",
    }
    assert "FAIL cuda-compat-mismatch" in comparison_text(comparison)


def test_a_broken_host_comes_before_the_container_that_suffers_from_it(
    running: Context, engine: FakeEngine, tmp_path: Path
) -> None:
    """Simulated: a card without a driver."""
    engine.answers = lambda name, command: BROKEN
    machine(tmp_path / "card", card=True)
    running.environ = {**running.environ, "ENVCHECK_ROOT": str(tmp_path / "card")}
    broken = check(running, "demo").broken
    assert broken is not None
    assert (broken.layer, broken.cause_id) == ("host", "driver-missing")
    assert broken.fix


def test_an_engine_that_does_not_answer_is_the_broken_layer(
    running: Context, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(label: str) -> None:
        raise NotReadyError("no engine answers", "Start it.", cause_id="docker-daemon-unreachable")

    monkeypatch.setattr(engine, "containers", dead)
    broken = check(running, None).broken
    assert broken is not None
    assert (broken.layer, broken.cause_id, broken.fix) == ("engine", "docker-daemon-unreachable", "Start it.")


def test_without_an_environment_only_the_machine_is_judged(engine: FakeEngine, tmp_path: Path) -> None:
    comparison = check(context_for(engine, tmp_path), None)
    assert comparison.host is not None and comparison.container is None
    assert "NO-GPU" in comparison_text(comparison)


def test_what_cannot_be_asked_is_an_error(running: Context, engine: FakeEngine) -> None:
    with pytest.raises(UsageError):
        check(running, "absent")
    engine.answers = lambda name, command: ExecResult(127, "", "envcheck: not found")
    with pytest.raises(NotReadyError, match="envcheck: not found"):
        check(running, "demo")
    engine.stop("gl-1000-demo")
    with pytest.raises(NotReadyError, match="stopped"):
        check(running, "demo")
