"""`up` from request to result on an engine in memory (simulated: engine, card, readiness)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from launcher.errors import ConflictError, LauncherError, NotReadyError
from launcher.plan import HOME, own_volumes
from launcher.spec import UpRequest
from launcher.up import up
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine


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
    monkeypatch.setattr("launcher.up.usable_check", lambda *_: lambda: bool(engine.restarted))
    up(context_for(engine, tmp_path), request_)
    assert engine.restarted == ["gl-1000-demo"]


def test_what_is_slow_to_answer_is_not_restarted(
    engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart would end what runs in it. Simulated: a service that needs five seconds for an answer."""
    up(context_for(engine, tmp_path), request_)
    monkeypatch.setattr("launcher.up.usable_check", lambda *given: lambda: given[2] > 5)
    up(context_for(engine, tmp_path), request_)
    assert engine.restarted == []


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


def test_a_volume_gets_its_owner_once_and_a_new_one_of_the_name_again(
    engine: FakeEngine, tmp_path: Path, request_: UpRequest
) -> None:
    home = own_volumes(1000, "demo")[HOME]
    context = context_for(engine, tmp_path)
    up(context, request_)
    assert engine.owners.count(home) == 1
    engine.remove("gl-1000-demo")
    up(context_for(engine, tmp_path), request_)
    assert engine.owners.count(home) == 1
    engine.remove("gl-1000-demo")
    engine.remove_volume(home)
    up(context_for(engine, tmp_path), request_)
    assert engine.owners.count(home) == 2


def test_a_volume_of_the_same_second_gets_its_owner_too_when_the_port_was_taken(
    engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engines tell a volume's age in seconds: the second attempt's volumes look like the first one's (simulated)."""
    start, attempts = engine.start, []

    def taken_at_first(name: str) -> None:
        engine.made = 0
        attempts.append(name)
        if len(attempts) == 1:
            raise ConflictError("the port is taken", "Another one.", cause_id="docker-port-in-use")
        start(name)

    monkeypatch.setattr(engine, "start", taken_at_first)
    up(context_for(engine, tmp_path), request_)
    assert len(attempts) == 2
    assert engine.owners.count(own_volumes(1000, "demo")[HOME]) == 2


def test_an_owner_that_could_not_be_set_is_set_by_the_next_start(
    engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else uses the cache volume meanwhile, so that it stays."""
    monkeypatch.setattr(engine, "remove_volume", lambda name: None)
    engine.fail_on["put_archive"] = LauncherError("no space", "free some")
    with pytest.raises(LauncherError):
        up(context_for(engine, tmp_path), request_)
    cache = next(name for name in engine.kept if "-cache-" in name)
    del engine.fail_on["put_archive"]
    up(context_for(engine, tmp_path), request_)
    assert cache in engine.owners
