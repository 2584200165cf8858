"""How long a GPU is held, and what others see of it, on an engine in memory (simulated: engine, cards, the trainer)."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from launcher import labels, lifecycle
from launcher.attach import HostGpu
from launcher.context import Context
from launcher.engine import Container, EngineInfo, ExecResult
from launcher.environments import as_seen_by, from_container, list_environments
from launcher.errors import GpuTakenError
from launcher.gpu_holders import ABANDONED_SECONDS, claim_gpus, holders
from launcher.render import listing_json, table
from launcher.spec import GpuRequest, UpRequest
from launcher.train import train
from launcher.up import up
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine

UUID = "GPU-01234567-89ab-cdef-0123-456789abcdef"
ALL = GpuRequest("all")


@pytest.fixture
def one_gpu(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine.information = EngineInfo("28.2", cdi_devices=("nvidia.com/gpu=0",), memory_bytes=8 << 30)
    engine.answers = lambda name, command: ExecResult(0, json.dumps({"gpus": [{"uuid": UUID}]}), "")
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: (HostGpu(0, UUID),))
    monkeypatch.setattr("launcher.train.ensure_engine", lambda progress, consent: None)
    return engine


def held(engine: FakeEngine) -> dict[str, list[str]]:
    return holders(engine.containers(labels.GPUS))


@pytest.mark.parametrize("code", [0, 1, 137])
def test_a_training_run_holds_its_gpu_while_it_runs_and_no_longer(
    one_gpu: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    context = context_for(one_gpu, tmp_path)
    during: list[str] = []

    def follow(_context: Context, name: str) -> int:
        during.extend(held(one_gpu)[UUID])
        with pytest.raises(GpuTakenError, match="held by: demo-"):
            up(context, replace(request_, name="other", gpus=ALL))
        return code

    monkeypatch.setattr("launcher.train.follow", follow)
    assert train(context, replace(request_, gpus=ALL, skip_check=True), (), None) == code
    assert len(during) == 1 and during[0].startswith("demo-")
    assert held(one_gpu) == {}
    assert up(context, replace(request_, name="other", gpus=ALL)).environment.gpus == (UUID,)


def test_a_stopped_environment_and_one_that_crashed_give_their_gpu_back(
    one_gpu: FakeEngine, tmp_path: Path, request_: UpRequest
) -> None:
    context = context_for(one_gpu, tmp_path)
    up(context, replace(request_, gpus=ALL))
    lifecycle.stop(context, from_container(one_gpu.rows["gl-1000-demo"]))
    assert held(one_gpu) == {}
    up(context, replace(request_, name="next", gpus=ALL))
    one_gpu.kill("gl-1000-next", "KILL")
    assert held(one_gpu) == {}


def abandoned(age: float) -> Container:
    values = {labels.NAME: "killed", labels.GPUS: json.dumps([UUID])}
    return Container("id", "gl-7-killed", "created", labels=values, created=int(time.time() - age))


def test_what_a_killed_launcher_left_does_not_hold_a_gpu_for_ever(engine: FakeEngine) -> None:
    engine.rows = {"gl-7-killed": abandoned(ABANDONED_SECONDS + 60)}
    assert held(engine) == {}
    claim_gpus(engine, "mine", (UUID,))
    engine.rows = {"gl-7-killed": abandoned(1)}
    assert held(engine) == {UUID: ["killed"]}


def test_ls_shows_who_holds_what_and_hides_where_others_keep_their_work(
    one_gpu: FakeEngine, tmp_path: Path, request_: UpRequest
) -> None:
    up(context_for(one_gpu, tmp_path), replace(request_, gpus=ALL))
    everyone = list_environments(one_gpu)
    own, others = as_seen_by(everyone, 1000), as_seen_by(everyone, 1001)
    assert str(request_.project) in table(own, owners=True)
    assert f"gpu {UUID[:12]} " in table(others, owners=True)
    assert str(request_.project) not in table(others, owners=True)
    row = listing_json(others)["environments"][0]
    assert (row["name"], row["gpus"], row["project"]) == ("demo", [UUID], None)
