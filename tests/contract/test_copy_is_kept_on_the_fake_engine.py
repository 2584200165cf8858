"""Whether `up` works on a copy: as asked for, and then until it is asked otherwise (simulated: the engine)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from launcher import labels, lifecycle
from launcher.endpoint import Endpoint
from launcher.environments import list_environments
from launcher.errors import ConflictError, NotReadyError, UsageError
from launcher.plan import WORKSPACE, workspace_volume
from launcher.render import table
from launcher.request import make_request
from launcher.settings.keys import KEYS
from launcher.train import train
from tests.contract.conftest import Run, context_for
from tests.contract.fake_engine import FakeEngine

NAME = "gl-1000-demo"


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is copied is tested elsewhere."""
    monkeypatch.setattr("launcher.up.bring_up_to_date", lambda context, environment: None)


def is_copy(engine: FakeEngine) -> bool:
    plan = engine.plans[NAME]
    copied = WORKSPACE in [mount.container for mount in plan.volumes]
    assert copied is (plan.binds == ()) is (labels.SYNC in plan.labels)
    return copied


@pytest.mark.parametrize("how", ["flag", "variable", "file"])
def test_each_way_to_ask_for_it(
    engine: FakeEngine, run: Run, project: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(mode="jupyter")
    assert not is_copy(engine)
    lifecycle.down(context_for(engine, project.parent), lifecycle.find(context_for(engine, project.parent), "demo"))
    if how == "file":
        (project / "launcher.toml").write_text("sync = true\n")
    run(mode="jupyter", **({"sync": True} if how == "flag" else {}), **variable(monkeypatch, how))
    assert is_copy(engine)


def variable(monkeypatch: pytest.MonkeyPatch, how: str) -> dict[str, Any]:
    """The run's environment is made by context_for."""
    if how == "variable":
        real = context_for
        monkeypatch.setattr(
            "tests.contract.conftest.context_for", lambda engine, path: real(engine, path, {"LAUNCHER_SYNC": "1"})
        )
    return {}


def test_a_copy_is_not_left_behind_by_a_shorter_command_line(engine: FakeEngine, run: Run, project: Path) -> None:
    run(mode="jupyter", sync=True)
    run()
    assert len(engine.plans) == 1
    context = context_for(engine, project.parent)
    lifecycle.down(context, lifecycle.find(context, "demo"))
    assert workspace_volume(1000, "demo") in engine.kept
    [down] = list_environments(engine)
    assert (down.state, down.synced) == ("down", True) and "(copied)" in table([down], owners=False)
    engine.plans.clear()
    run(mode="jupyter")
    assert is_copy(engine)


def test_another_mode_of_the_project_is_not_made_a_copy(engine: FakeEngine, run: Run, project: Path) -> None:
    run(mode="jupyter", sync=True)
    run(name=None, mode="ssh")
    assert engine.plans["gl-1000-project-ssh"].binds
    (project / "launcher.toml").write_text('mode = "ssh"\nname = "third"\n')
    run(name=None)
    assert engine.plans["gl-1000-third"].binds


def test_to_leave_the_copy_is_a_change_that_needs_consent(engine: FakeEngine, run: Run) -> None:
    run(mode="jupyter", sync=True)
    with pytest.raises(ConflictError, match="sync: true -> false"):
        run(sync=False)
    run(yes=True, sync=False)
    assert not is_copy(engine) and workspace_volume(1000, "demo") in engine.kept
    run()
    assert not is_copy(engine)
    run(yes=True, sync=True)
    assert is_copy(engine)


def test_rm_deletes_the_copy_and_what_is_known_of_it(engine: FakeEngine, run: Run, project: Path) -> None:
    run(mode="jupyter", sync=True)
    context = context_for(engine, project.parent)
    record = context.state.subdirectory("sync") / f"{workspace_volume(1000, 'demo')}.json"
    record.write_text("{}")
    environment = lifecycle.find(context, "demo")
    volumes = lifecycle.deletable_volumes(context, environment)
    assert workspace_volume(1000, "demo") in [volume.name for volume in volumes]
    lifecycle.remove(context, environment, volumes)
    assert not record.exists() and workspace_volume(1000, "demo") not in engine.kept


def test_a_far_engine_without_the_folder_names_the_way(
    engine: FakeEngine, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_for(engine, tmp_path)
    context.__dict__["endpoint"] = Endpoint("tcp://gpu-box:2376", "test")
    given = {key.parameter: None for key in KEYS} | {"name": "demo", "mode": "jupyter", "project": None}
    monkeypatch.chdir(project)
    assert not make_request(context, **given).sync, "nobody can look there: the engine judges"
    with pytest.raises(UsageError, match="absolute"):
        make_request(context, **given | {"project": "relative"})
    assert make_request(context, **given | {"sync": True}).project == project
    (project / "launcher.toml").write_text("sync = true\n")
    assert make_request(context, **given).sync and not make_request(context, **given | {"sync": False}).sync


@pytest.mark.parametrize("text", ['sync = "yes"', "sync = 1"])
def test_a_wrong_value_is_refused(run: Run, project: Path, text: str) -> None:
    (project / "launcher.toml").write_text(text + "\n")
    with pytest.raises(UsageError, match="line 1: sync must be true or false"):
        run(mode="jupyter")


def test_training_on_a_far_engine_uses_the_copy_and_only_where_it_runs(
    engine: FakeEngine, run: Run, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: the terminal that follows the trainer, and that the engine is far."""
    run(mode="jupyter", sync=True)
    trained: list[str] = []
    monkeypatch.setattr("launcher.train.ensure_engine", lambda progress, consent: None)
    monkeypatch.setattr("launcher.train.run_in", lambda context, name, command: trained.append(name) or 0)
    context = context_for(engine, tmp_path)
    context.__dict__["endpoint"] = Endpoint("tcp://gpu-box:2376", "test")
    given = {key.parameter: None for key in KEYS if key.train} | {"name": None, "project": str(project)}
    assert train(context, make_request(context, **given), (), None) == 0 and trained == [NAME]
    engine.stop(NAME)
    with pytest.raises(NotReadyError, match="no environment with a copy"):
        train(context, make_request(context, **given), (), None)
