"""What a sync says, and the exit code it ends with: pure."""

from __future__ import annotations

import pytest

from launcher.sync.judge import UNREADABLE
from launcher.sync.report import failure, lines, outcome_json
from launcher.sync.run import CHANGED, Outcome, Wish

SEND, FETCH = Wish(), Wish(fetch=True)
OUTSIDE, KIND = "the link leads out of the project", "on the other side it is a directory"


@pytest.mark.parametrize(
    ("outcome", "code", "cause", "next_step"),
    [
        (Outcome(files=["a"]), 0, "", ""),
        (Outcome(left_out={"a": OUTSIDE}), 0, "", ""),
        (Outcome(left_out={"a": OUTSIDE, "b": UNREADABLE}), 1, "1 path(s) cannot be read and", ".launcherignore"),
        (Outcome(conflicts={"a": KIND, "b": CHANGED}, left_out={"c": UNREADABLE}), 4, "2 file(s) were", "--force demo"),
        (Outcome(conflicts={"a": KIND}), 4, "a: on the other side it is a directory", "on one of the sides"),
    ],
)
def test_how_a_run_ends(outcome: Outcome, code: int, cause: str, next_step: str) -> None:
    error = failure("demo", SEND, outcome)
    assert (error.code if error else 0) == code
    assert error is None or (cause in error.cause and next_step in error.next_step)


@pytest.mark.parametrize(
    ("wish", "first", "second"),
    [
        (SEND, "Replace those inside: launcher sync --force demo;", "launcher sync --fetch --force demo"),
        (FETCH, "Replace yours: launcher sync --fetch --force demo;", "launcher sync --force demo"),
    ],
)
def test_both_ways_out_of_a_conflict_are_named(wish: Wish, first: str, second: str) -> None:
    error = failure("demo", wish, Outcome(conflicts={"a": CHANGED}))
    assert error is not None and error.next_step.startswith(first) and error.next_step.endswith(f": {second}")


def test_what_is_said() -> None:
    files = [f"f{number:02}" for number in range(12)]
    outcome = Outcome(files, 1500, ["old"], [], {"a\nb": CHANGED}, {"pipe": "it is no file"})
    assert lines("demo", SEND, outcome) == [
        "Brought 12 file(s) to demo (1.5 kB)",
        "  deleted: old",
        "  not copied: pipe (it is no file)",
        "  left alone: a\\nb (it changed on both sides)",
    ]
    shown = lines("demo", Wish(fetch=True, dry_run=True), Outcome(files, 1500, gone=["x"]))
    assert shown[:2] == ["Would bring 12 file(s) from demo (1.5 kB)", "  f00"]
    assert shown[10:] == [
        "  f09",
        "  and 2 more",
        "1 file(s) were deleted inside and stay on the other side: --delete",
    ]


def test_the_object_for_scripts() -> None:
    assert outcome_json("demo", FETCH, Outcome(["a"], 3, conflicts={"b": CHANGED})) == {
        "name": "demo",
        "direction": "fetch",
        "dry_run": False,
        "files": ["a"],
        "bytes": 3,
        "deleted": [],
        "gone": [],
        "left_out": {},
        "conflicts": {"b": "it changed on both sides"},
    }
