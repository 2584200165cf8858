"""`sync` where something is wrong: runs cut short, programs that write meanwhile, environments that cannot be meant.

Simulated: the engine's way to the files; both directories and what runs inside are real.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import lifecycle
from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.interrupt import Interrupted
from launcher.plan import workspace_volume
from launcher.spec import Mode, UpRequest
from launcher.sync import run as sync_run
from launcher.sync.run import Wish
from launcher.up import up
from tests.contract.copied_project import Sides, write
from tests.contract.copying_engine import CopyingEngine

FETCH = Wish(fetch=True)


def test_the_environment_reaches_nothing_outside_the_project(sides: Sides, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(sides.here / "sub")
    (sides.here / "sub").symlink_to(outside)
    write(sides.there / "sub/new", "x")
    (sides.there / "out").symlink_to("../outside")
    outcome = sides.sync(Wish(fetch=True, force=True))
    assert {"sub/b", "sub/new", "sub"} <= set(outcome.conflicts) and set(outcome.left_out) == {"out"}
    assert list(outside.iterdir()) == [] and not (sides.here / "out").is_symlink()


def test_what_is_exchanged_on_its_way_is_not_taken(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    write(sides.there / "new", "x")
    whole = CopyingEngine.get_tree

    def exchange(engine: CopyingEngine, container: str, path: str) -> object:
        staged = sides.there / ".gpu-launcher-sync/files/0"
        staged.unlink()
        staged.symlink_to("/etc/passwd")
        return whole(engine, container, path)

    monkeypatch.setattr(CopyingEngine, "get_tree", exchange)
    outcome = sides.sync(FETCH)
    assert list(outcome.conflicts) == ["new"] and not (sides.here / "new").is_symlink()


@pytest.mark.parametrize("fetch", [False, True])
def test_a_change_during_the_run_is_not_overwritten(sides: Sides, fetch: bool) -> None:
    source, target = (sides.there, sides.here) if fetch else (sides.here, sides.there)
    write(source / "a", "new")
    sides.engine.before = lambda action: write(target / "a", "meanwhile") if action in ("place", "collect") else None
    outcome = sides.sync(Wish(fetch=fetch))
    assert outcome.conflicts == {"a": "it was changed meanwhile"} and outcome.files == []
    assert (target / "a").read_text() == "meanwhile"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_a_project_that_cannot_be_written_to_is_named(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """Simulated: the system's refusal."""
    write(sides.there / "new", "x")

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("launcher.sync.staging.unpack", refuse)
    with pytest.raises(NotReadyError, match=f"cannot write in {sides.here}: {error.strerror}"):
        sides.sync(FETCH)
    assert not [path for side in (sides.here, sides.there) for path in side.glob(".gpu-launcher-*")]


def test_up_says_what_it_left_alone_and_what_to_do(sides: Sides) -> None:
    write(sides.here / "a", "mine")
    write(sides.there / "a", "theirs")
    stream = sides.context.progress.stream = io.StringIO()
    up(sides.context, UpRequest("demo", Mode.JUPYTER, sides.here, sync=True))
    said = stream.getvalue()
    assert "left alone: a (it changed on both sides)" in said and "launcher sync --force demo" in said


@pytest.mark.parametrize("error", [Interrupted(2), LauncherError("no space left on device", "x")])
@pytest.mark.parametrize("fetch", [False, True])
def test_a_run_cut_short_leaves_whole_files_and_the_next_goes_on(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, fetch: bool, error: BaseException
) -> None:
    source, target = (sides.there, sides.here) if fetch else (sides.here, sides.there)
    before = sides.content(target)
    for name in ("new1", "new2", "new3"):
        write(source / name, "x" * 3_000_000)
    monkeypatch.setattr(sync_run, "BATCH_FILES", 1)
    with monkeypatch.context() as patch, pytest.raises(type(error)):
        cut_in_the_second(patch, error)
        sides.sync(Wish(fetch=fetch))
    if isinstance(error, LauncherError):
        assert not list(sides.there.glob(".gpu-launcher-*")), "what filled the disk is cleared away"
    found = [path.name for path in target.iterdir() if path.name.startswith("new")]
    assert found == ["new1"] and not list(sides.here.glob(".gpu-launcher-*"))
    assert sides.sync(Wish(fetch=fetch)).files == ["new2", "new3"]
    assert sides.content(target) == before | dict.fromkeys(("new1", "new2", "new3"), "x" * 3_000_000)


def cut_in_the_second(patch: pytest.MonkeyPatch, error: BaseException) -> None:
    """The second batch of files breaks off in its middle, on either way."""
    put, get, large = CopyingEngine.put_tree, CopyingEngine.get_tree, []

    def put_half(engine: CopyingEngine, container: str, directory: str, tar: object) -> None:
        content = b"".join(tar)  # type: ignore[call-overload]
        large.append(len(content) > 1_000_000)
        if large.count(True) == 2:
            with pytest.raises(Exception, match="unexpected end"):
                put(engine, container, directory, [content[: len(content) // 2]])
            raise error
        put(engine, container, directory, [content])

    def get_half(engine: CopyingEngine, container: str, path: str) -> object:
        large.append(True)
        chunk = next(get(engine, container, path))
        yield chunk[: len(chunk) // 2]
        if large.count(True) == 2:
            raise error
        yield chunk[len(chunk) // 2 :]

    patch.setattr(CopyingEngine, "put_tree", put_half)
    patch.setattr(CopyingEngine, "get_tree", get_half)


def test_a_new_volume_of_the_name_gets_everything(sides: Sides) -> None:
    before = sides.content(sides.there)
    gone(sides)
    sides.engine.remove_volume(workspace_volume(1000, "demo"))
    shutil.rmtree(sides.there)
    sides.there.mkdir()
    up(sides.context, UpRequest("demo", Mode.JUPYTER, sides.here, sync=True))
    assert sides.content(sides.there) == before


def stopped(sides: Sides) -> None:
    lifecycle.stop(sides.context, lifecycle.find(sides.context, "demo"))


def gone(sides: Sides) -> None:
    lifecycle.down(sides.context, lifecycle.find(sides.context, "demo"))


def moved(sides: Sides) -> None:
    sides.here.rename(sides.here.with_name("elsewhere"))


def mounted(sides: Sides) -> None:
    gone(sides)
    sides.engine.remove_volume(workspace_volume(1000, "demo"))
    up(sides.context, UpRequest("demo", Mode.JUPYTER, sides.here))


REFUSED: dict[str, tuple[Callable[[Sides], None], type[LauncherError], str]] = {
    "stopped": (stopped, NotReadyError, "is stopped"),
    "down": (gone, NotReadyError, "is down"),
    "the project is elsewhere": (moved, NotReadyError, "is not on this machine"),
    "not a copy": (mounted, UsageError, "sees .* itself"),
}


@pytest.mark.parametrize(("make", "kind", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_synchronised(
    sides: Sides, make: Callable[[Sides], None], kind: type[LauncherError], said: str
) -> None:
    make(sides)
    with pytest.raises(kind, match=said):
        sides.sync()
