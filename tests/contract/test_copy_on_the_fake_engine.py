"""`cp`: which side is meant, where a copy lands, and what is refused before anything moves (simulated: the engine)."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import lifecycle
from launcher.context import Context
from launcher.copying import Side, copy, parse_side
from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.spec import UpRequest
from launcher.up import up
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine

HOME = "gl-1000-demo-home"


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("demo:/data/x", Side("/data/x", "demo")),
        ("demo:x/y", Side("/workspace/x/y", "demo")),
        ("demo:", Side("/workspace/", "demo")),
        ("demo:~", Side("/home/user", "demo")),
        ("demo:~/a b", Side("/home/user/a b", "demo")),
        ("demo:~other", Side("/workspace/~other", "demo")),
        (":mühe:x", Side("/workspace/mühe:x", "")),
        ("./demo:x", Side("./demo:x")),
        ("/tmp/a:b", Side("/tmp/a:b")),
        ("file", Side("file")),
        ("-", Side("-")),
        ("C:x", Side("C:x")),
    ],
)
def test_which_side_is_meant(text: str, side: Side) -> None:
    assert parse_side(text) == side


@pytest.fixture
def context(engine: FakeEngine, tmp_path: Path, request_: UpRequest, monkeypatch: pytest.MonkeyPatch) -> Context:
    """With an environment `demo` whose home holds `notes` and a directory `runs`; the current directory is empty."""
    made = context_for(engine, tmp_path)
    up(made, request_)
    engine.files |= {(HOME, "notes"): b"mine", (HOME, "runs/a.csv"): b"1,2", (HOME, "runs/b b.csv"): b"3"}
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return made


def files(engine: FakeEngine) -> dict[str, bytes]:
    return {place: content for (volume, place), content in engine.files.items() if volume == HOME}


@pytest.mark.parametrize(
    ("source", "destination", "place"),
    [
        ("new", "demo:~", "new"),
        ("new", "demo:~/", "new"),
        ("new", "demo:~/other name", "other name"),
        ("new", "demo:~/runs", "runs/new"),
        ("new", "demo:~/notes", "notes"),
        ("new", ":~/runs/a.csv", "runs/a.csv"),
        ("dir", "demo:~", "dir/inner"),
        ("dir", "demo:~/copy", "copy/inner"),
        ("dir/", "demo:~/runs", "runs/dir/inner"),
        ("dir/.", "demo:~/runs", "runs/inner"),
    ],
)
def test_into_it(context: Context, engine: FakeEngine, source: str, destination: str, place: str) -> None:
    Path("new").write_text("new")
    Path("dir").mkdir()
    Path("dir/inner").write_text("new")
    before = files(engine)
    assert copy(context, source, destination) == 3
    assert files(engine) == before | {place: b"new"}


@pytest.mark.parametrize(
    ("source", "destination", "path"),
    [
        ("demo:~/notes", ".", "notes"),
        ("demo:~/notes", "other name", "other name"),
        ("demo:~/notes", "there/", "there/notes"),
        ("demo:~/notes", "old", "old"),
        ("demo:~/runs", "there", "there/runs/a.csv"),
        ("demo:~/runs", "new", "new/a.csv"),
        ("demo:~/runs/.", "there", "there/a.csv"),
    ],
)
def test_out_of_it(context: Context, source: str, destination: str, path: str) -> None:
    Path("there").mkdir()
    Path("there/kept").write_text("kept")
    Path("old").write_text("old")
    assert copy(context, source, destination) == 4
    assert Path(path).read_bytes() in (b"mine", b"1,2")
    assert Path("there/kept").read_text() == "kept"
    assert not list(Path().rglob(".gpu-launcher-*"))


def make_file(context: Context) -> None:
    Path("thing").write_text("precious")


def make_directory(context: Context) -> None:
    Path("thing").mkdir()


def stopped_without_container(context: Context) -> None:
    make_file(context)
    lifecycle.down(context, lifecycle.find(context, "demo"))


REFUSED: dict[str, tuple[str, str, Callable[[Context], None], type[LauncherError], str]] = {
    "nothing there to send": ("absent", "demo:~", make_file, UsageError, "there is no absent here"),
    "nothing there to fetch": ("demo:~/absent", "x", make_file, UsageError, "there is no /home/user/absent in demo"),
    "two of ours": ("thing", "other", make_file, UsageError, "one of the two"),
    "two of theirs": ("demo:a", "demo:b", make_file, UsageError, "one of the two"),
    "a read-only place": ("thing", "demo:/etc", make_file, UsageError, "/etc in demo is read-only"),
    "a directory onto a file": ("thing", "demo:~/notes", make_directory, UsageError, "is a file"),
    "a file onto a directory": (
        "demo:~/notes",
        "thing",
        lambda c: Path("thing/notes").mkdir(parents=True),
        UsageError,
        "is a directory",
    ),
    "a directory onto our file": ("demo:~/runs", "thing", make_file, UsageError, "is a file"),
    "no such directory here": ("demo:~/notes", "absent/x", make_file, UsageError, "there is no directory"),
    "no such directory here, by a slash": ("demo:~/notes", "absent/", make_file, UsageError, "there is no directory"),
    "no such directory there": ("thing", "demo:~/absent/x", make_file, UsageError, "there is no directory"),
    "no such directory there, by a slash": ("thing", "demo:~/absent/", make_file, UsageError, "there is no directory"),
    "no such environment": ("thing", "demi:~", make_file, UsageError, "no environment named demi"),
    "an environment that is down": ("thing", "demo:~", stopped_without_container, NotReadyError, "is down"),
}


@pytest.mark.parametrize(("source", "destination", "make", "kind", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_changes_nothing(
    context: Context,
    engine: FakeEngine,
    source: str,
    destination: str,
    make: Callable[[Context], None],
    kind: type[LauncherError],
    said: str,
) -> None:
    make(context)
    before = files(engine), {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}
    with pytest.raises(kind, match=said):
        copy(context, source, destination)
    assert before == (files(engine), {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")})


def test_a_tar_archive_by_standard_input(context: Context, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("typed")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"new"))
    buffer.seek(0)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(buffer))
    copy(context, "-", "demo:~/runs")
    assert files(engine)["runs/typed"] == b"new"


def test_a_tar_archive_by_standard_output(context: Context, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    copy(context, "demo:~/runs", "-")
    with tarfile.open(fileobj=io.BytesIO(capfdbinary.readouterr().out)) as archive:
        assert archive.getnames() == ["runs", "runs/a.csv", "runs/b b.csv"]
