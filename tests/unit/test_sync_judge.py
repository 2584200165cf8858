"""Which files must go to the other side, which must not, and which are none of its business: pure tables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.errors import UsageError
from launcher.sync.ignore import DEFAULTS, read_patterns
from launcher.sync.inside import Entry, is_ignored
from launcher.sync.judge import Plan, judge, leads_outside

OLD, NEW, NEWER = Entry("file", 3, 1, 0o644), Entry("file", 4, 2, 0o644), Entry("file", 5, 3, 0o644)
LATER, EXECUTABLE = Entry("file", 3, 9, 0o644), Entry("file", 3, 1, 0o755)
DIRECTORY, LINK, OTHER_LINK = Entry("directory"), Entry("link", target="a"), Entry("link", target="b")
PIPE, UNREADABLE = Entry("other"), Entry("unreadable")

# source, target, (source, target) when both were alike -> the field of the plan that names it; None: nothing to do
FILES = {
    "new": (OLD, None, None, "files"),
    "unchanged": (OLD, OLD, (OLD, OLD), None),
    "alike with times of their own": (OLD, LATER, (OLD, LATER), None),
    "changed here": (NEW, OLD, (OLD, OLD), "files"),
    "made executable here": (EXECUTABLE, OLD, (OLD, OLD), "files"),
    "changed there": (OLD, NEW, (OLD, OLD), None),
    "changed on both sides": (NEW, NEWER, (OLD, OLD), "conflicts"),
    "perhaps changed on both sides": (LATER, EXECUTABLE, (OLD, OLD), "unsure"),
    "deleted there, unchanged here": (OLD, None, (OLD, OLD), None),
    "deleted there, changed here": (NEW, None, (OLD, OLD), "files"),
    "deleted here, unchanged there": (None, OLD, (OLD, OLD), "gone"),
    "deleted here, changed there": (None, NEW, (OLD, OLD), None),
    "only ever there": (None, OLD, None, None),
    "there already, of unknown age": (OLD, LATER, None, "unsure"),
    "something else there already": (OLD, NEW, None, "conflicts"),
    "the same link": (LINK, LINK, None, None),
    "another link": (OTHER_LINK, LINK, (LINK, LINK), "files"),
    "two other links": (OTHER_LINK, LINK, None, "conflicts"),
    "a link for a file": (LINK, OLD, (OLD, OLD), "files"),
    "a new directory": (DIRECTORY, None, None, "directories"),
    "a directory that is there": (DIRECTORY, DIRECTORY, None, None),
    "a directory for a file": (DIRECTORY, OLD, (OLD, OLD), "impossible"),
    "a file for a directory": (OLD, DIRECTORY, None, "impossible"),
    "a file for a pipe": (OLD, PIPE, None, "impossible"),
    "a file for one that cannot be read": (OLD, UNREADABLE, None, "impossible"),
    "a pipe": (PIPE, None, None, "left_out"),
    "one that cannot be read": (UNREADABLE, None, None, "left_out"),
    "a link to nowhere near": (Entry("link", target="/etc"), None, None, "left_out"),
}


def named(plan: Plan) -> list[str]:
    fields = ("directories", "files", "unsure", "conflicts", "impossible", "gone", "left_out")
    return [field for field in fields if "x" in getattr(plan, field)]


@pytest.mark.parametrize(("source", "target", "base", "expected"), FILES.values(), ids=FILES)
def test_one_path(
    source: Entry | None, target: Entry | None, base: tuple[Entry, Entry] | None, expected: str | None
) -> None:
    plan = judge({"x": source} if source else {}, {"x": target} if target else {}, {"x": base} if base else {})
    assert named(plan) == ([expected] if expected else [])


def test_nothing_is_written_below_a_link_or_a_file_of_the_other_side() -> None:
    for there in (LINK, OLD):
        plan = judge({"d": DIRECTORY, "d/x": OLD, "d/e/y": OLD}, {"d": there}, {})
        assert (plan.files, list(plan.impossible)) == ([], ["d", "d/e/y", "d/x"])


def test_what_lies_below_an_unreadable_directory_is_not_deleted() -> None:
    base = {"d/x": (OLD, OLD), "y": (OLD, OLD)}
    assert judge({"d": UNREADABLE}, {"d": DIRECTORY, "d/x": OLD, "y": OLD}, base).gone == ["y"]


@pytest.mark.parametrize(
    ("path", "target", "outside"),
    [
        ("x", "a", False),
        ("x", "./a/b", False),
        ("d/x", "../a", False),
        ("d/e/x", "../../a", False),
        ("d/x", "..", False),
        ("x", "..", True),
        ("x", "../a", True),
        ("d/x", "../../a", True),
        ("x", "/etc/passwd", True),
        ("x", "/workspace/a", True),
        ("x", "l/../../a", True),
        ("d/x", "l/../a", True),
        ("x", "..a", False),
    ],
)
def test_where_a_link_leads(path: str, target: str, outside: bool) -> None:
    assert leads_outside(path, target) is outside


@pytest.mark.parametrize(
    ("path", "directory", "patterns", "ignored"),
    [
        (".git", True, DEFAULTS, True),
        ("sub/__pycache__", True, DEFAULTS, True),
        ("a/node_modules", True, DEFAULTS, True),
        ("a.pyc", False, DEFAULTS, True),
        (".gitignore", False, DEFAULTS, False),
        ("a.py", False, DEFAULTS, False),
        (".env", False, DEFAULTS, False),
        (".git", True, (*DEFAULTS, "!.git"), False),
        ("data", True, ("data/",), True),
        ("data", False, ("data/",), False),
        ("a/data", True, ("/data",), False),
        ("data", True, ("/data",), True),
        ("a/data", True, ("a/data",), True),
        ("b/a/data", True, ("a/data",), False),
        ("a/b/c.pt", False, ("a/*.pt",), True),
        ("DATA", True, ("data",), False),
        ("keep.pt", False, ("*.pt", "!keep.pt"), False),
        ("keep.pt", False, ("!keep.pt", "*.pt"), True),
        (".gpu-launcher-sync", True, ("!.gpu-launcher-sync",), True),
    ],
)
def test_what_is_ignored(path: str, directory: bool, patterns: tuple[str, ...], ignored: bool) -> None:
    assert is_ignored(path, directory, patterns) is ignored


def test_the_file_of_patterns(tmp_path: Path) -> None:
    (tmp_path / ".launcherignore").write_text("# mine\n\n  data/  \n!.git\n")
    assert read_patterns(tmp_path) == (*DEFAULTS, "data/", "!.git")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b", b"x\n" * 20000, None])
def test_what_is_no_file_of_patterns_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        os.mkfifo(tmp_path / ".launcherignore")
    else:
        (tmp_path / ".launcherignore").write_bytes(content)
    with pytest.raises(UsageError, match="launcherignore"):
        read_patterns(tmp_path)
