"""What verbs ask of the engine does not grow with the number of environments (simulated: engine, readiness)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from launcher import lifecycle
from launcher.environments import list_environments
from launcher.gpu_overview import overview
from launcher.inspection import inspect_environment, reachable
from launcher.spec import UpRequest
from launcher.up import up
from tests.contract.conftest import context_for
from tests.contract.counting_engine import CountingEngine
from tests.contract.fake_engine import FakeEngine

VERBS = {
    "ls": lambda context: list_environments(context.engine, context.owner),
    "status": lambda context: inspect_environment(context, lifecycle.find(context, "demo0")),
    "url": lambda context: reachable(context, lifecycle.find(context, "demo0")),
    "gpus": overview,
    "stop": lambda context: lifecycle.stop(context, lifecycle.find(context, "demo0")),
}


def calls(directory: Path, request: UpRequest, environments: int, verb: str) -> Counter[str]:
    directory.mkdir()
    engine = FakeEngine()
    context = context_for(engine, directory)
    context.__dict__["engine"] = CountingEngine(engine)
    _fill(engine, context.environ["HOME"], request, environments)
    VERBS[verb](context)
    return context.__dict__["engine"].calls  # type: ignore[no-any-return]


def _fill(engine: FakeEngine, home: str, request: UpRequest, environments: int) -> None:
    from launcher.host import Caller
    from launcher.plan import Device, ImageChoice, Machine, plan_container

    for index in range(environments):
        named = replace(request, name=f"demo{index}")
        machine = Machine(1000, 8 << 30, 2, {})
        caller = Caller(1000, 1000, (), Path(home))
        plan = plan_container(named, ImageChoice("image", "1"), caller, machine, Device(False, "no card"), 8888 + index)
        for mount in plan.volumes:
            engine.create_volume(mount.volume, plan.labels)
        engine.files[f"gl-1000-demo{index}-run", "token"] = b"secret"
        engine.create(plan)
        engine.start(plan.name)


@pytest.mark.parametrize("verb", VERBS)
def test_fifty_environments_cost_no_more_calls_than_one(
    tmp_path: Path, request_: UpRequest, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.inspection.usable_check", lambda *_: lambda: True)
    one = calls(tmp_path / "one", request_, 1, verb)
    fifty = calls(tmp_path / "fifty", request_, 50, verb)
    assert fifty == one
    assert 1 <= one.total() <= 4, one


def test_up_of_what_runs_asks_no_more_among_fifty(engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    counted = []
    for environments in (1, 50):
        for index in range(len(engine.rows), environments):
            up(context_for(engine, tmp_path), replace(request_, name=f"demo{index}"))
        context = context_for(engine, tmp_path)
        context.__dict__["engine"] = counting = CountingEngine(engine)
        up(context, replace(request_, name="demo0"))
        counted.append(counting.calls)
    assert counted[0] == counted[1]
