"""`up --sync` and `sync`: what arrives on which side, and what is left alone.

Simulated: the engine's way to the files; both directories and what runs inside are real.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from pathlib import Path

import pytest

from launcher import transfer
from launcher.plan import WORKSPACE, workspace_volume
from launcher.sync import run as sync_run
from launcher.sync.run import Wish
from tests.contract.copied_project import Sides, write

FETCH, DELETE = Wish(fetch=True), Wish(delete=True)


def test_up_sends_the_project_to_a_volume_of_its_own_and_mounts_nothing(sides: Sides) -> None:
    plan = sides.engine.plans["gl-1000-demo"]
    assert plan.binds == () and (workspace_volume(1000, "demo"), WORKSPACE) in [
        (mount.volume, mount.container) for mount in plan.volumes
    ]
    assert workspace_volume(1000, "demo") in sides.engine.owners, "a fresh volume belongs to root"
    assert sides.content(sides.there) == {"a": "a", "sub/b": "sub/b", "sub/c": "sub/c"}


def test_only_what_changed_goes_over(sides: Sides) -> None:
    sides.engine.sent.clear()
    assert sides.sync().files == [] and sides.engine.sent == []
    write(sides.here / "sub/b", "new")
    write(sides.here / "made/deep/d", "new")
    (sides.here / "empty").mkdir()
    (sides.here / "link").symlink_to("sub/b")
    (sides.here / "a").chmod(0o755)
    assert sides.sync().files == ["a", "link", "made/deep/d", "sub/b"]
    assert (sides.there / "sub/b").read_text() == (sides.there / "made/deep/d").read_text() == "new"
    assert (sides.there / "empty").is_dir() and (sides.there / "link").readlink() == Path("sub/b")
    assert (sides.there / "a").stat().st_mode & 0o777 == 0o755
    assert sides.sync().files == [] and sides.sync(FETCH).files == []


def test_what_changed_inside_comes_here(sides: Sides) -> None:
    write(sides.there / "sub/b", "results")
    write(sides.there / "runs/1/log", "results")
    (sides.there / "sub/link").symlink_to("../a")
    assert sides.sync().files == []
    assert sides.sync(FETCH).files == ["runs/1/log", "sub/b", "sub/link"]
    assert not list(sides.there.glob(".gpu-launcher-*"))
    assert (sides.here / "sub/b").read_text() == (sides.here / "runs/1/log").read_text() == "results"
    assert (sides.here / "sub/link").readlink() == Path("../a")
    assert sides.sync(FETCH).files == [] and sides.sync().files == []
    assert sides.content(sides.here) == sides.content(sides.there)


@pytest.mark.parametrize("fetch", [False, True])
def test_what_changed_on_both_sides_is_left_until_it_is_forced(sides: Sides, fetch: bool) -> None:
    write(sides.here / "a", "mine")
    write(sides.there / "a", "theirs")
    write((sides.there if fetch else sides.here) / "sub/b", "new")
    outcome = sides.sync(Wish(fetch=fetch))
    assert (list(outcome.conflicts), outcome.files) == (["a"], ["sub/b"])
    assert ((sides.here / "a").read_text(), (sides.there / "a").read_text()) == ("mine", "theirs")
    assert sides.sync(Wish(fetch=fetch, force=True)).files == ["a"]
    assert (sides.here / "a").read_text() == (sides.there / "a").read_text() == ("theirs" if fetch else "mine")
    assert sides.sync().conflicts == sides.sync(FETCH).conflicts == {}


def test_the_same_change_on_both_sides_is_no_conflict(sides: Sides) -> None:
    write(sides.here / "a", "same")
    write(sides.there / "a", "same")
    assert sides.sync().conflicts == {} and sides.sync(FETCH).conflicts == {}


def test_without_its_record_bytes_are_compared_and_nothing_is_overwritten(sides: Sides) -> None:
    write(sides.there / "sub/b", "SUB/B")
    write(sides.there / "sub/c", "longer")
    for record in (sides.context.state.directory / "sync").iterdir():
        record.write_text("{damaged")
    sides.engine.sent.clear()
    outcome = sides.sync()
    assert (outcome.files, sorted(outcome.conflicts)) == ([], ["sub/b", "sub/c"])
    assert (sides.there / "sub/b").read_text() == "SUB/B"
    write(sides.here / "a", "new")
    assert sides.sync().files == ["a"], "what was alike is known again"


@pytest.mark.parametrize("fetch", [False, True])
def test_deletions_are_said_and_done_when_asked_for(sides: Sides, fetch: bool) -> None:
    source, target = (sides.there, sides.here) if fetch else (sides.here, sides.there)
    shutil.rmtree(source / "sub")
    write(target / "sub/c", "changed since")
    assert sides.sync(Wish(fetch=fetch)).gone == ["sub/b"] and (target / "sub/b").exists()
    assert sides.sync(Wish(fetch=fetch, delete=True)).deleted == ["sub/b"]
    assert sides.content(target) == {"a": "a", "sub/c": "changed since"}
    assert sides.sync(Wish(fetch=fetch)).files == []


def test_an_emptied_directory_goes_with_its_files(sides: Sides) -> None:
    shutil.rmtree(sides.here / "sub")
    assert sides.sync(DELETE).deleted == ["sub/b", "sub/c"]
    assert [path.name for path in sides.there.iterdir()] == ["a"]


def test_what_was_deleted_and_restored_on_the_other_side_is_not_deleted_again(sides: Sides) -> None:
    shutil.copy2(sides.there / "a", sides.there.parent / "backup")
    (sides.here / "a").unlink()
    assert sides.sync(DELETE).deleted == ["a"]
    shutil.copy2(sides.there.parent / "backup", sides.there / "a")
    assert sides.sync(DELETE).deleted == [] and (sides.there / "a").exists()


def test_a_dry_run_changes_nothing(sides: Sides) -> None:
    write(sides.here / "new", "new")
    (sides.here / "a").unlink()
    before = sides.content(sides.here), sides.content(sides.there)
    outcome = sides.sync(Wish(delete=True, dry_run=True))
    assert (outcome.files, outcome.bytes, outcome.deleted) == (["new"], 3, ["a"])
    assert before == (sides.content(sides.here), sides.content(sides.there))
    assert sides.sync().files == ["new"]


def test_what_must_not_go_over_is_named(sides: Sides) -> None:
    os.mkfifo(sides.here / "pipe")
    (sides.here / "out").symlink_to("/etc/passwd")
    write(sides.here / ".git/HEAD", "x")
    write(sides.here / "big/data", "x")
    write(sides.here / ".launcherignore", "big/\n")
    outcome = sides.sync()
    assert (sorted(outcome.left_out), outcome.files) == (["out", "pipe"], [".launcherignore"])
    assert {path.name for path in sides.there.iterdir()} == {"a", "sub", ".launcherignore"}


@pytest.mark.parametrize("fetch", [False, True])
def test_progress_has_files_bytes_and_the_time_left(sides: Sides, fetch: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("new1", "new2"):
        write((sides.there if fetch else sides.here) / name, "x" * 2_000_000)
    monkeypatch.setattr(transfer, "FIRST_SECONDS", 0)
    monkeypatch.setattr(transfer, "PIPE_SECONDS", 0)
    monkeypatch.setattr(sync_run, "BATCH_FILES", 1)
    stream = sides.context.progress.stream = io.StringIO()
    sides.sync(Wish(fetch=fetch))
    way = "Fetching from" if fetch else "Sending to"
    line = re.compile(rf"{way} demo, from file ([12]) of 2: [0-9.]+ [kM]?B of about 4.0 MB, \d+ s left")
    found = [line.fullmatch(text) for text in stream.getvalue().splitlines()]
    assert {match[1] for match in found if match} == {"1", "2"} and None not in found
