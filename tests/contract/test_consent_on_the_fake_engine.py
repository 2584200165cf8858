"""What `up` asks for first: a way out of the project, other GPUs (simulated: engine, cards, readiness)."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.attach import HostGpu
from launcher.engine import EngineInfo
from launcher.errors import ConflictError, UsageError
from launcher.request import make_request
from launcher.result import EnvironmentResult
from launcher.settings.keys import KEYS
from launcher.train import train
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine

NAME = "gl-1000-demo"
Run = Callable[..., EnvironmentResult]


def test_a_project_cannot_reach_outside_itself_unasked(
    engine: FakeEngine, run: Run, project: Path, tmp_path: Path, said: io.StringIO
) -> None:
    file = project / "launcher.toml"
    file.write_text('mode = "jupyter"\nmounts = ["inside", "../outside:/out:ro"]\n')
    with pytest.raises(UsageError, match=r"Allow what .*launcher\.toml, line 2 asks for"):
        run()
    assert engine.rows == {} and engine.kept == {}
    line = f"{file}, line 2 lets the container read {tmp_path}/outside, which is outside the project"
    assert line in said.getvalue().splitlines()
    run(yes=True)
    run()
    assert (str(tmp_path / "outside"), "/out", True) in engine.plans[NAME].binds
    file.write_text('mode = "jupyter"\nmounts = ["inside"]\n')
    run(yes=True)
    assert len(engine.plans[NAME].binds) == 2


@pytest.mark.parametrize("kind", ["link", "key", "train"])
def test_other_ways_out_of_a_project_need_consent_too(
    engine: FakeEngine, run: Run, project: Path, tmp_path: Path, kind: str
) -> None:
    (project / "link").symlink_to(tmp_path / "outside")
    (project / "id.pub").write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJrqtTS9V8CJFc6nFhYRBc4YuJNSyJMmGNkTj3VJLGN ann\n"
    )
    wish = 'keys = ["id.pub"]' if kind == "key" else 'mounts = ["link"]'
    (project / "launcher.toml").write_text(f'mode = "ssh"\n{wish}\n')
    with pytest.raises(UsageError, match="Allow what"):
        if kind == "train":
            context = context_for(engine, tmp_path)
            given = {key.parameter: None for key in KEYS if key.train} | {"name": None, "project": str(project)}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("launcher.train.ensure_engine", lambda progress, consent: None)
                train(context, make_request(context, **given), (), None)
        else:
            run()
    assert engine.rows == {}


def test_a_flag_or_the_users_own_file_needs_no_consent(
    engine: FakeEngine, run: Run, tmp_path: Path, user_directories: Path
) -> None:
    file = tmp_path / "home/.config/gpu-launcher/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'mounts = ["{tmp_path}/outside:/a"]\n')
    run(mode="jupyter", mounts=(f"{tmp_path}/outside:/b",))
    assert {bind[1] for bind in engine.plans[NAME].binds} == {"/workspace", "/a", "/b"}


@pytest.fixture
def two_cards(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Simulated: an engine with two GPUs by CDI, and their card on this machine's bus."""
    engine.information = EngineInfo(
        "28.2", cdi_devices=("nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all"), memory_bytes=8 << 30
    )
    monkeypatch.setattr("launcher.gpu_choice.host_gpus", lambda info, root: (HostGpu(0, "0"), HostGpu(1, "1")))
    device = tmp_path / "root/sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    for name, text in {"vendor": "0x10de", "device": "0x2684", "class": "0x030000"}.items():
        (device / name).write_text(text + "\n")


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize(
    ("made", "now", "line", "gpus"),
    [
        ("1", "all", "gpus: GPU 0 -> --gpus all", ("0", "1")),
        ("device=0", "device=1", "gpus: GPU 0 -> --gpus device=1", ("1",)),
        ("all", "none", "gpus: GPU 0, 1 -> --gpus none", ()),
        ("none", "auto", "gpus: the CPU (asked for with --gpus none) -> --gpus auto", ("0", "1")),
    ],
)
def test_other_gpus_are_a_difference_like_any_other(
    engine: FakeEngine, run: Run, made: str, now: str, line: str, gpus: tuple[str, ...]
) -> None:
    run(mode="jupyter", gpus=made, skip_check=True)
    with pytest.raises(ConflictError) as caught:
        run(gpus=now, skip_check=True)
    assert line in str(caught.value)
    assert run(yes=True, gpus=now, skip_check=True).environment.gpus == gpus


@pytest.mark.usefixtures("two_cards")
def test_gpus_that_were_asked_for_once_are_kept_with_other_settings(engine: FakeEngine, run: Run) -> None:
    run(mode="jupyter", gpus="none", skip_check=True)
    assert run(skip_check=True).environment.device == "cpu"
    assert run(yes=True, memory="1g", skip_check=True).environment.device == "cpu"
