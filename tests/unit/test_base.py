"""How a base root file system is made on different machines, without making one."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.errors import NotReadyError
from launcher.progress import Progress
from launcher.setup import base
from launcher.setup.base import Bootstrap, bootstrap_command, choose_bootstrap, ensure_root, root_reference
from launcher.setup.client import BuildClient
from launcher.setup.mirrors import Mirrors
from launcher.setup.stream import Finished
from launcher.stacks import default_stack


def tools(*present: str) -> Callable[[str], str | None]:
    return lambda name: f"/usr/bin/{name}" if name in present else None


@pytest.mark.parametrize(
    ("present", "uid", "sudo", "ids", "tool", "mode"),
    [
        (("mmdebstrap", "debootstrap"), 0, False, False, "mmdebstrap", "root"),
        (("debootstrap",), 0, False, False, "debootstrap", "root"),
        (("mmdebstrap",), 1000, True, False, "mmdebstrap", "root"),
        (("mmdebstrap", "newuidmap"), 1000, False, True, "mmdebstrap", "unshare"),
        (("debootstrap",), 1000, True, False, "debootstrap", "root"),
    ],
)
def test_a_way_is_found(present: tuple[str, ...], uid: int, sudo: bool, ids: bool, tool: str, mode: str) -> None:
    how = choose_bootstrap(tools(*present), uid, sudo=sudo, subordinate_ids=ids)
    assert how is not None
    assert (how.tool, how.mode) == (tool, mode)
    assert bool(how.prefix) == (uid != 0 and mode == "root")


@pytest.mark.parametrize(
    ("present", "ids"),
    [((), True), (("debootstrap",), True), (("mmdebstrap",), True), (("mmdebstrap", "newuidmap"), False)],
)
def test_an_ordinary_user_without_what_it_takes_has_no_way(present: tuple[str, ...], ids: bool) -> None:
    assert choose_bootstrap(tools(*present), 1000, sudo=False, subordinate_ids=ids) is None


def test_the_command_uses_the_mirror_and_leaves_nothing_of_it_behind(tmp_path: Path) -> None:
    mirrors = Mirrors("https://own.example/debian", "https://own.example/debian-security", ca=Path("/ca.pem"))
    command = bootstrap_command(Bootstrap("mmdebstrap"), default_stack(), mirrors, tmp_path)
    assert "deb https://own.example/debian bookworm main" in command
    assert '--aptopt=Acquire::https::CAInfo "/ca.pem"' in command
    assert any("rm -f" in part and "99mmdebstrap" in part and "sources.list" in part for part in command)


class Engine:
    """Stands for the docker command line: which images it has and what a pull says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, images: set[str], pull: Finished) -> None:
        self.pulled: list[str] = []
        monkeypatch.setattr(base, "_has_image", lambda _client, reference: reference in images)

        def run(argv: list[str], *_args: object, **_options: object) -> Finished:
            self.pulled.append(argv[-1])
            return pull

        monkeypatch.setattr(base, "run_streaming", run)


CLIENT = BuildClient("docker", None)
REFUSED = Finished(1, ("no such host",))


def ensure() -> str:
    return ensure_root(default_stack(), CLIENT, Mirrors(), Progress(io.StringIO()), consent=False)


def test_a_local_image_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, {root_reference(default_stack())}, REFUSED)
    assert ensure() == root_reference(default_stack())
    assert engine.pulled == []


def test_the_registry_mirror_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCHER_REGISTRY_MIRROR", "registry.example")
    engine = Engine(monkeypatch, set(), Finished(0, ()))
    assert ensure() == "registry.example/library/debian:bookworm-slim"
    assert engine.pulled == ["registry.example/library/debian:bookworm-slim"]


def test_with_neither_registry_nor_tool_the_command_to_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Engine(monkeypatch, set(), REFUSED)
    monkeypatch.setattr(base, "_available", lambda: None)
    with pytest.raises(NotReadyError) as caught:
        ensure()
    assert "apt-get install -y mmdebstrap" in caught.value.next_step
    assert caught.value.code == 3
