"""restart, code, version and uninstall as a user meets them (simulated: the engine, VS Code)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from launcher import labels, lifecycle
from launcher.access.editor import editor_address, open_editor, program
from launcher.context import Context
from launcher.engine import EngineInfo, ExecResult
from launcher.errors import ConflictError, LauncherError, NotReadyError, UsageError
from launcher.setup.probe import Answer, EngineState
from launcher.spec import GpuRequest, Mode, UpRequest
from launcher.uninstall import perform, plan_uninstallation
from launcher.up import up
from launcher.version import versions, versions_text
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine


@pytest.fixture
def context(engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch) -> Context:
    """With an environment `demo`."""
    monkeypatch.setattr("launcher.lifecycle.usable_check", lambda *_: lambda: True)
    monkeypatch.setattr("launcher.uninstall.ask_engine", lambda url: Answer(EngineState.ANSWERS))
    made = context_for(engine, tmp_path)
    made.__dict__["checkout"] = None
    up(made, request_)
    return made


@pytest.mark.parametrize(("stop", "restarted"), [(False, ["gl-1000-demo"]), (True, [])])
def test_restart_ends_what_runs_or_starts_what_is_stopped(
    context: Context, engine: FakeEngine, stop: bool, restarted: list[str]
) -> None:
    if stop:
        engine.stop("gl-1000-demo")
    result = lifecycle.restart(context, lifecycle.find(context, "demo"))
    assert (result.environment.state, engine.restarted) == ("running", restarted)
    assert engine.rows["gl-1000-demo"].state == "running" and result.url


def test_what_another_environment_began_to_share_while_rm_asked_is_not_deleted(
    context: Context, engine: FakeEngine, request_: UpRequest
) -> None:
    environment = lifecycle.find(context, "demo")
    volumes = lifecycle.deletable_volumes(context, environment)
    up(context, replace(request_, name="second"))
    lifecycle.remove(context, environment, volumes)
    roles = [volume.labels[labels.ROLE] for volume in volumes if volume.name in engine.kept]
    assert labels.ROLE_CACHE in roles and labels.ROLE_ENVIRONMENT not in roles
    lifecycle.remove(context, lifecycle.find(context, "second"), list(engine.kept.values()))
    assert engine.kept == {}


@pytest.mark.parametrize(("state", "said"), [("down", "is down"), ("paused", "is paused")])
def test_what_cannot_be_restarted_is_said(context: Context, engine: FakeEngine, state: str, said: str) -> None:
    if state == "down":
        engine.remove("gl-1000-demo")
    else:
        engine.rows["gl-1000-demo"] = replace(engine.rows["gl-1000-demo"], state=state)
    with pytest.raises(NotReadyError, match=said):
        lifecycle.restart(context, lifecycle.find(context, "demo"))
    assert engine.restarted == []


def test_restart_waits_until_it_answers(context: Context, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("launcher.lifecycle.usable_check", lambda *_: lambda: len(asked) > 2 or bool(asked.append(1)))
    lifecycle.restart(context, lifecycle.find(context, "demo"))
    assert len(asked) == 3


def test_restart_proves_the_gpus(
    engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from launcher.attach import HostGpu

    monkeypatch.setattr("launcher.lifecycle.usable_check", lambda *_: lambda: True)
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: (HostGpu(0, "0"),))
    engine.information = EngineInfo(
        "28.2", cdi_devices=("nvidia.com/gpu=0", "nvidia.com/gpu=all"), memory_bytes=8 << 30
    )
    engine.answers = lambda name, command: ExecResult(0, json.dumps({"gpus": [{"uuid": "0"}]}), "")
    context = context_for(engine, tmp_path)
    up(context, replace(request_, gpus=GpuRequest("all")))
    assert lifecycle.restart(context, lifecycle.find(context, "demo")).gpu_verified is True
    engine.answers = lambda name, command: ExecResult(1, json.dumps({"findings": [{"summary": "cuInit 999"}]}), "")
    with pytest.raises(NotReadyError):
        lifecycle.restart(context, lifecycle.find(context, "demo"))
    skipped = lifecycle.restart(context, lifecycle.find(context, "demo"), skip_check=True)
    assert skipped.gpu_verified is False


def test_vs_code_is_for_environments_of_mode_ssh(context: Context) -> None:
    environment = lifecycle.find(context, "demo")
    with pytest.raises(UsageError, match="JupyterLab") as caught:
        editor_address(environment)
    assert "--mode ssh" in caught.value.next_step
    address = editor_address(replace(environment, mode="ssh"))
    assert address.command == "code --remote ssh-remote+demo /workspace"
    assert address.link == "vscode://vscode-remote/ssh-remote+demo/workspace"


@pytest.fixture
def vs_code(tmp_path: Path) -> Callable[[str], str]:
    """A stand-in for VS Code's command: vs_code(its script) gives the directory for PATH."""

    def make(script: str) -> str:
        path = tmp_path / "bin/code"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path.parent)

    return make


@pytest.mark.parametrize(
    ("environ", "opens"),
    [
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"WSL_DISTRO_NAME": "Debian"}, True),
        ({}, False),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "1 2 3 4"}, False),
        ({"DISPLAY": ":0", "PATH": "/nowhere"}, False),
    ],
)
def test_where_vs_code_can_show_a_window(vs_code: Callable[[str], str], environ: dict[str, str], opens: bool) -> None:
    found = program({"PATH": vs_code("true"), **environ})
    assert (found is not None) is opens


def test_vs_code_gets_the_environment_and_its_refusal_is_said(vs_code: Callable[[str], str], tmp_path: Path) -> None:
    open_editor(f"{vs_code(f'echo $@ > {tmp_path}/said')}/code", "demo")
    assert (tmp_path / "said").read_text() == "--remote ssh-remote+demo /workspace\n"
    with pytest.raises(LauncherError, match="no extension host"):
        open_editor(f"{vs_code('echo no extension host >&2; exit 7')}/code", "demo")


def test_versions_without_an_engine_are_no_failure(
    context: Context, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = versions(context)
    assert found["engine"]["version"] == "28.0" and all(image["id"] for image in found["images"])
    assert found["stack"]["torch"] == "2.8.0"

    def refuse() -> EngineInfo:
        raise NotReadyError("no engine answers", "Start it.")

    monkeypatch.setattr(engine, "info", refuse)
    found = versions(context)
    assert found["engine"] == {"url": None, "version": None, "error": "no engine answers"}
    assert "none: no engine answers" in versions_text(found)


def test_uninstall_refuses_while_environments_exist_and_names_them(context: Context) -> None:
    with pytest.raises(ConflictError, match="demo"):
        plan_uninstallation(context, with_environments=False)


def test_uninstall_of_everything_leaves_projects_and_data(
    context: Context, engine: FakeEngine, request_: UpRequest
) -> None:
    (request_.project / "work.py").write_text("precious")
    up(context, replace(request_, name="second", mode=Mode.SSH, project=request_.project))
    config = context.home / ".ssh/config"
    config.write_text(config.read_text() + "Host mine\n")
    (context.home / ".bashrc").write_text("source <(launcher completion bash)\n")
    foreign = {labels.OWNER: "2000", labels.NAME: "theirs", labels.ROLE: labels.ROLE_ENVIRONMENT}
    engine.create_volume("gl-2000-theirs-home", foreign)
    engine.create_volume("gl-1000-data-9", {labels.OWNER: "1000", labels.ROLE: labels.ROLE_DATA})
    kept = {"gl-2000-theirs-home"}
    plan = plan_uninstallation(context, with_environments=True)
    assert {e.name for e in plan.environments} == {"demo", "second"}
    assert {v.name for v in plan.volumes} >= {"gl-1000-demo-home", "gl-1000-second-run"}
    assert any(".bashrc" in line for line in plan.stays)
    perform(context, plan)
    assert config.read_bytes() == b"Host mine\n" and not context.state.directory.exists()
    assert (engine.rows, set(engine.kept)) == ({}, kept)
    assert (request_.project / "work.py").read_text() == "precious"


def test_data_that_was_downloaded_stays_and_its_command_is_told(
    context: Context, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes = engine.volumes
    monkeypatch.setattr(
        engine, "volumes", lambda label, sizes=False: [replace(v, bytes=5) for v in volumes(label, sizes)]
    )
    plan = plan_uninstallation(context, with_environments=True)
    data = next(name for name in engine.kept if "-data-" in name)
    assert data not in {v.name for v in plan.volumes} and f"docker volume rm {data}" in plan.stays


def test_uninstall_without_any_engine_removes_what_is_here(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.uninstall.ask_engine", lambda url: Answer(EngineState.ABSENT))
    plan = plan_uninstallation(context, with_environments=False)
    assert plan.environments == () and context.state.directory in plan.paths


def test_uninstall_ends_the_tunnels_to_other_machines(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is simulated: an ssh that writes down what it is told."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n')
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    records = context.state.subdirectory("tunnels")
    for name in ("one", "two"):
        (tmp_path / f"{name}.ctl").touch()
        record = {"local": 8888, "port": 8888, "control": str(tmp_path / f"{name}.ctl"), "host": name}
        (records / f"{name}.json").write_text(json.dumps(record))
    (records / "broken.json").write_text("{")
    perform(context, plan_uninstallation(context, with_environments=True))
    said = (tmp_path / "said").read_text().splitlines()
    assert sorted(line.split()[-1] for line in said) == ["one", "two"] and all("-O exit" in line for line in said)
    assert not context.state.directory.exists() and not list(tmp_path.glob("*.ctl"))


def test_uninstall_takes_an_engine_that_does_not_answer_for_no_consent(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(label: str) -> list[object]:
        raise NotReadyError("the engine hangs", "Restart it.")

    monkeypatch.setattr(context.engine, "containers", refuse)
    with pytest.raises(NotReadyError, match="hangs"):
        plan_uninstallation(context, with_environments=False)


def test_uninstall_removes_the_checkouts_own_environment_only_if_it_is_the_users(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv.lock").touch()
    (checkout / "mine").touch()
    context.__dict__["checkout"] = checkout
    plan = plan_uninstallation(context, with_environments=True)
    assert {checkout / ".venv", checkout / ".venv.lock"} <= set(plan.paths)
    monkeypatch.setattr("launcher.uninstall.os.getuid", lambda: 4242)
    assert not {checkout / ".venv"} & set(plan_uninstallation(context, with_environments=True).paths)
