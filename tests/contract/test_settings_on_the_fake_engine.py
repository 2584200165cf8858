"""`up` on an environment with other settings, on an engine in memory (simulated: engine, cards, readiness)."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher import labels
from launcher.dry_run import dry_run
from launcher.engine import ContainerPlan, EngineInfo, ExecResult
from launcher.errors import ConflictError, LauncherError, NotReadyError, UsageError
from launcher.plan import own_volumes
from launcher.request import make_request
from launcher.result import EnvironmentResult
from launcher.settings.keys import KEYS
from launcher.train import train
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine

NAME = "gl-1000-demo"
Run = Callable[..., EnvironmentResult]


def test_an_environment_is_started_again_without_saying_anything_again(engine: FakeEngine, run: Run) -> None:
    first = run(mode="jupyter", memory="1g", variables=("A=1",), port="18700")
    assert run().url == first.url
    assert run(memory="1024m", variables=("A=1",)).url == first.url
    assert len(engine.plans) == 1


def test_without_anybody_there_a_difference_is_said_and_nothing_changes(
    engine: FakeEngine, run: Run, said: io.StringIO
) -> None:
    run(mode="jupyter", memory="1g", variables=("A=s3cret",))
    before = dict(engine.rows)
    with pytest.raises(ConflictError, match="memory: 1g -> 2g; env A: set -> another value") as caught:
        run(memory="2g", variables=("A=0ther",))
    assert (
        caught.value.code == 4 and "--yes" in caught.value.next_step and "launcher start demo" in caught.value.next_step
    )
    assert said.getvalue().splitlines()[1:3] == ["memory: 1g -> 2g", "env A: set -> another value"]
    assert "s3cret" not in said.getvalue() + str(caught.value) and engine.rows == before


def test_made_anew_with_consent_and_what_was_given_before(engine: FakeEngine, run: Run, project: Path) -> None:
    first = run(mode="jupyter", memory="1g", variables=("A=1", "B=1"), mounts=(f"{project}/inside:/d",), restart="no")
    files = dict(engine.files)
    second = run(yes=True, memory="2g", variables=("B=2",))
    plan = engine.plans[NAME]
    assert (plan.memory_bytes, plan.environment["A"], plan.environment["B"]) == (2 << 30, "1", "2")
    assert (str(project / "inside"), "/d", False) in plan.binds
    assert second.url == first.url, "token and port"
    assert {key: files[key] for key in files if "token" in key} == {
        key: engine.files[key] for key in engine.files if "token" in key
    }
    assert list(engine.rows) == [NAME] and engine.policies[NAME] == "no"
    assert run().url == first.url and engine.plans[NAME] is plan


def test_a_typed_yes_is_consent_and_anything_else_is_not(
    engine: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    run(mode="jupyter")
    first = engine.plans[NAME]
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    with pytest.raises(UsageError, match="nothing was changed"):
        run(pids="99")
    assert engine.plans[NAME] is first
    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    run(pids="99")
    assert engine.plans[NAME].pids == 99


def test_a_changed_file_is_a_difference_and_an_unchanged_one_is_not(
    engine: FakeEngine, run: Run, project: Path
) -> None:
    (project / "launcher.toml").write_text('mode = "jupyter"\nmemory = "1g"\n')
    run()
    run()
    assert len(engine.plans) == 1
    (project / "launcher.toml").write_text('mode = "jupyter"\n')
    with pytest.raises(ConflictError, match="memory: 1g -> no limit"):
        run()


def test_another_port_is_a_difference_and_kept_from_then_on(engine: FakeEngine, run: Run) -> None:
    run(mode="jupyter", port="18701")
    with pytest.raises(ConflictError, match="port: 18701 -> 18702"):
        run(port="18702")
    assert run(yes=True, port="18702").environment.port == 18702
    assert run(yes=True, memory="1g").environment.port == 18702


def test_a_port_whose_line_left_the_file_is_kept(engine: FakeEngine, run: Run, project: Path) -> None:
    for port in (18701, 18702):
        (project / "launcher.toml").write_text(f"port = {port}\n")
        run(yes=True, mode="jupyter")
    (project / "launcher.toml").unlink()
    assert run(yes=True, memory="1g").environment.port == 18702


def test_mode_and_project_stay_a_conflict(engine: FakeEngine, run: Run, tmp_path: Path) -> None:
    run(mode="jupyter")
    with pytest.raises(ConflictError, match="exists already for"):
        run(yes=True, mode="ssh")
    with pytest.raises(ConflictError, match="exists already for"):
        run(yes=True, project=str(tmp_path / "outside"))


def test_mode_is_needed_for_a_new_environment_only(engine: FakeEngine, run: Run) -> None:
    with pytest.raises(UsageError, match="--mode"):
        run()
    run(mode="ssh")
    engine.remove(NAME)
    assert run().environment.mode == "ssh", "its volumes know"


@pytest.mark.parametrize("verb", ["create", "start"])
def test_when_the_new_one_does_not_start_the_old_one_runs_on(
    engine: FakeEngine, run: Run, said: io.StringIO, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(mode="jupyter", memory="1g")
    old, volumes, networks = engine.rows[NAME].id, dict(engine.kept), dict(engine.networks)
    original = getattr(engine, verb)

    def refuse_the_new(given: ContainerPlan | str) -> object:
        if verb == "create" or engine.rows[str(given)].id != old:
            raise NotReadyError("no space left on device", "Make room.")
        return original(given)

    monkeypatch.setattr(engine, verb, refuse_the_new)
    with pytest.raises(NotReadyError, match="no space"):
        run(yes=True, memory="2g")
    assert (engine.rows[NAME].id, engine.rows[NAME].state) == (old, "running")
    assert list(engine.rows) == [NAME] and (engine.kept, engine.networks) == (volumes, networks)
    assert "demo runs again with its old settings" in said.getvalue()
    assert run().url == first.url


def test_a_stopped_environment_stays_stopped_when_its_replacement_fails(engine: FakeEngine, run: Run) -> None:
    run(mode="jupyter")
    engine.stop(NAME)
    engine.fail_on["create"] = NotReadyError("no space left on device", "Make room.")
    with pytest.raises(NotReadyError):
        run(yes=True, memory="2g")
    assert engine.rows[NAME].state == "exited"


@pytest.mark.parametrize(("replacement", "kept"), [(None, "old"), ("created", "old"), ("running", "new")])
def test_after_a_launcher_that_was_killed_halfway_one_environment_is_left(
    engine: FakeEngine, run: Run, replacement: str | None, kept: str
) -> None:
    """Simulated: what a kill leaves on the engine."""
    run(mode="jupyter", memory="1g")
    old = engine.rows[NAME].id
    engine.rename(NAME, labels.set_aside_name(NAME))
    engine.stop(labels.set_aside_name(NAME))
    if replacement:
        engine.create(engine.plans[NAME])
        engine._set(NAME, state=replacement)
    run()
    assert list(engine.rows) == [NAME] and engine.rows[NAME].state == "running"
    assert (engine.rows[NAME].id == old) is (kept == "old")


def test_what_runs_inside_is_named_before_it_ends(engine: FakeEngine, run: Run, said: io.StringIO) -> None:
    """Simulated: the container's processes as its /proc would list them."""
    run(mode="jupyter")
    processes = ["7 1 jupyter-lab --ip", "30 7 python -m ipykernel_launcher", "31 1 python train.py --epochs 90"]
    engine.answers = lambda name, command: ExecResult(0, "\n".join(processes), "")
    with pytest.raises(ConflictError):
        run(memory="2g")
    lines = said.getvalue().splitlines()
    assert lines[lines.index("These end:") + 1 :] == ["  python -m ipykernel_launcher", "  python train.py --epochs 90"]


def test_more_processors_than_the_engine_has_are_refused_before_anything_is_made(engine: FakeEngine, run: Run) -> None:
    engine.information = EngineInfo("28.0", memory_bytes=8 << 30, processors=2)
    with pytest.raises(UsageError, match="more than the 2 processor"):
        run(mode="jupyter", cpus="3")
    assert engine.rows == {} and engine.kept == {}


def test_more_memory_than_there_is_is_remarked_on(run: Run, said: io.StringIO) -> None:
    run(mode="jupyter", memory="16g")
    assert "memory: 16g is more than this machine has (8.0g), so it limits nothing" in said.getvalue().splitlines()


def test_volumes_carry_no_settings(engine: FakeEngine, run: Run) -> None:
    run(mode="jupyter", memory="1g")
    assert json.loads(engine.rows[NAME].labels[labels.SETTINGS])
    assert all(labels.SETTINGS not in engine.kept[name].labels for name in own_volumes(1000, "demo").values())


def test_the_environment_that_is_there_may_be_of_an_older_launcher(engine: FakeEngine, run: Run) -> None:
    """Its label was a digest."""
    run(mode="jupyter")
    engine._set(NAME, labels={**engine.rows[NAME].labels, labels.SETTINGS: "0123456789abcdef"})
    run()
    with pytest.raises(LauncherError, match="memory: no limit -> 1g"):
        run(memory="1g")


def test_a_dry_run_shows_limits_and_differences_and_touches_nothing(
    engine: FakeEngine, run: Run, tmp_path: Path, project: Path
) -> None:
    given = {key.parameter: None for key in KEYS} | {"name": "demo", "mode": "jupyter", "project": str(project)}

    def dry(**options: object) -> dict[str, Any]:
        context = context_for(engine, tmp_path)
        return dry_run(context, make_request(context, **(given | options)))

    found = dry(memory="1g", cpus="0.5", restart="no")
    assert (found["container"]["memory_bytes"], found["container"]["nano_cpus"]) == (1 << 30, 500_000_000)
    assert (found["restart"], found["exists"], found["differences"]) == ("no", False, [])
    assert (engine.rows, engine.kept) == ({}, {})
    port = run(mode="jupyter", memory="1g").environment.port
    before = dict(engine.rows)
    found = dry(memory="2g")
    assert (found["exists"], found["differences"]) == (True, ["memory: 1g -> 2g"])
    assert found["container"]["host_port"] == port and engine.rows == before


def test_train_says_what_a_running_environment_does_not_take_over(
    engine: FakeEngine, run: Run, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: the terminal that follows the trainer."""
    run(mode="jupyter", memory="1g", restart="no")
    monkeypatch.setattr("launcher.train.ensure_engine", lambda progress, consent: None)
    monkeypatch.setattr("launcher.train.run_in", lambda context, name, command: 0)
    given = {key.parameter: None for key in KEYS if key.train} | {"name": None, "project": str(project)}
    for options, line in (({}, None), ({"memory": "2g"}, "It keeps its settings; not applied: memory: 1g -> 2g")):
        context = context_for(engine, tmp_path)
        assert train(context, make_request(context, **(given | options)), (), None) == 0
        lines = context.progress.stream.getvalue().splitlines()  # type: ignore[attr-defined]
        assert [text.partition(" (")[0] for text in lines if "not applied" in text] == ([line] if line else [])
