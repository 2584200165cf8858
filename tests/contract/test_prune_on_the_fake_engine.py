"""`prune` from look to removal, and what it says (simulated: the engine)."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from launcher import labels, lifecycle
from launcher.context import Context
from launcher.errors import LauncherError, UsageError
from launcher.pruning import find_removable, remove_items
from launcher.spec import UpRequest
from launcher.storage import StoredImage
from launcher.up import up
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine
from tests.waiting import wait_until

STALE = "gpu-launcher/jupyter:cu128-000000000000"


def context_without_checkout(engine: FakeEngine, tmp_path: Path) -> Context:
    """What this checkout's own wrapper left is not the tests' business."""
    context = context_for(engine, tmp_path)
    context.__dict__["checkout"] = None
    return context


def left_by_a_killed_run(engine: FakeEngine) -> None:
    found = {labels.NAME: "gone", labels.OWNER: "1000", labels.ROLE: labels.ROLE_TRAIN}
    engine.create_network("gl-1000-gone", found, None)
    engine.ages["gl-1000-gone"] = 0.0
    engine.create_volume("gl-1000-gone-home", found)
    names = (STALE, "gpu-launcher/jupyter:other-000000000000")
    engine.stored["sha256:old"] = StoredImage("sha256:old", names, {labels.IMAGE_SOURCE: "old"}, 8000, 300)


def test_leftovers_go_and_environments_stay(engine: FakeEngine, tmp_path: Path, request_: UpRequest) -> None:
    context = context_without_checkout(engine, tmp_path)
    up(context, request_)
    up(context, replace(request_, name="sleeping"))
    lifecycle.down(context, lifecycle.find(context, "sleeping"))
    before = (dict(engine.rows), dict(engine.networks), dict(engine.kept))
    left_by_a_killed_run(engine)
    items = find_removable(context, everyone=False, cache=False)
    assert [(item.kind, item.name) for item in items] == [
        ("network", "gl-1000-gone"),
        ("volume", "gl-1000-gone-home"),
        ("image", "sha256:old"),
    ]
    assert remove_items(context, items) == []
    assert (engine.rows, engine.networks, engine.kept) == before and engine.stored == {}
    assert find_removable(context, everyone=False, cache=False) == []


def test_what_cannot_be_removed_does_not_stop_the_rest(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_without_checkout(engine, tmp_path)
    left_by_a_killed_run(engine)

    def refuse(name: str) -> None:
        raise LauncherError("the engine refused: volume is in use", "x")

    monkeypatch.setattr(engine, "remove_volume", refuse)
    refused = remove_items(context, find_removable(context, everyone=False, cache=False))
    assert [(item.name, reason) for item, reason in refused] == [
        ("gl-1000-gone-home", "the engine refused: volume is in use")
    ]
    assert engine.networks == {} and engine.stored == {}


def test_the_build_cache_goes_only_when_it_is_asked_for(engine: FakeEngine, tmp_path: Path) -> None:
    context = context_without_checkout(engine, tmp_path)
    engine.cache_bytes = 5000
    assert find_removable(context, everyone=False, cache=False) == []
    items = find_removable(context, everyone=False, cache=True)
    assert [(item.kind, item.bytes) for item in items] == [("cache", 5000)]
    remove_items(context, items)
    assert engine.cache_bytes == 0


def test_only_root_prunes_for_everybody(engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(UsageError, match="root"):
        find_removable(context_without_checkout(engine, tmp_path), everyone=True, cache=False)


def test_environments_of_earlier_locks_go_but_not_one_that_a_process_runs_from(
    engine: FakeEngine, tmp_path: Path
) -> None:
    context = context_without_checkout(engine, tmp_path)
    cache = Path(context.environ["HOME"]) / ".cache/gpu-launcher"
    for name in ("venv-1", "venv-2"):
        (cache / name / "bin").mkdir(parents=True)
        (cache / name / "bin/python").symlink_to("/bin/sleep")
    (cache / "venv-1/file").write_bytes(b"x" * 100)
    (cache / "venv-3.log").write_text("failed")
    process = subprocess.Popen([str(cache / "venv-2/bin/python"), "60"])
    try:
        wait_until(Path(f"/proc/{process.pid}/cmdline").read_bytes, "a process that runs from it")
        items = find_removable(context, everyone=False, cache=False)
        assert {Path(item.name).name: item.bytes for item in items} == {
            "venv-1": 100 + len("/bin/sleep"),
            "venv-3.log": 6,
        }
        remove_items(context, items)
        assert [path.name for path in cache.iterdir()] == ["venv-2"]
    finally:
        process.kill()
        process.wait()
