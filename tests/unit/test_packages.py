"""The lists of a project's own packages: what is taken, what is refused, and when two lists are the same."""

from __future__ import annotations

import pytest

from launcher.errors import UsageError
from launcher.packages import checked_packages
from launcher.stacks import default_stack

STACK = default_stack()


@pytest.mark.parametrize(
    "entry",
    ["htop", "g++", "libstdc++6", "python3.11-dev", "0ad", "git=1:2.39.5-0+deb12u2", "tzdata=2024b-0~deb12u1"],
)
def test_debian_packages_are_taken_as_they_are(entry: str) -> None:
    assert checked_packages([f" {entry} "], [], STACK).apt == (entry,)


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "",
            "-y",
            "--purge",
            "htop-",
            "HTOP",
            "htop;id",
            "htop id",
            "$(id)",
            "./x.deb",
            "https://x/y.deb",
            "htop=",
            "a",
        ),
        *("htop/sid", "htop*", "^x", "git=$(id)", "git\nhtop", "~ndoc", "?installed", "htop:i386=1;2"),
    ],
)
def test_anything_else_is_no_debian_package(entry: str) -> None:
    with pytest.raises(UsageError, match="apt entry"):
        checked_packages([entry], [], STACK)


@pytest.mark.parametrize(
    ("entry", "written"),
    [
        ("einops", "einops"),
        ("Ruamel.YAML", "ruamel-yaml"),
        ("timm==1.0.9", "timm==1.0.9"),
        (" accelerate >= 0.34 , < 2 ", "accelerate<2,>=0.34"),
        ("transformers[torch, Sentence_Piece]~=4.44", "transformers[sentence-piece,torch]~=4.44"),
        ("x!=1.*", "x!=1.*"),
        ("x==1!2.0+local.1", "x==1!2.0+local.1"),
        ("torch", "torch"),
        ("torch==2.8.0", "torch==2.8.0"),
        ("torch==2.8", "torch==2.8"),
        ("torch==2.*", "torch==2.*"),
        ("torch==2.8.0+cu128", "torch==2.8.0+cu128"),
        ("torchvision>=0.20", "torchvision>=0.20"),
    ],
)
def test_requirements_are_written_in_one_way(entry: str, written: str) -> None:
    assert checked_packages([], [entry], STACK).pip == (written,)


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "",
            "--index-url=https://x",
            "-r requirements.txt",
            "-e .",
            ".",
            "./x.whl",
            "https://x/y.whl",
            "git+https://x/y",
        ),
        *(
            "x @ https://y/z.whl",
            "x; python_version > '3'",
            "x;id",
            "x && id",
            "$(id)",
            "x==",
            "x=1",
            "x===1",
            "x[",
            "a b",
        ),
        *("x\n--pre", "x #", "x==1 --hash=sha256:0", "x>=1,", "x[a,]"),
    ],
)
def test_anything_else_is_no_requirement(entry: str) -> None:
    with pytest.raises(UsageError, match="pip entry") as caught:
        checked_packages([], [entry], STACK)
    assert caught.value.code == 2


@pytest.mark.parametrize("entry", ["torch==2.6", "torch==2.8.1", "torch==1.*", "TorchVision==0.21.0", "triton == 3.1"])
def test_another_version_of_the_stack_is_refused_with_the_reason(entry: str) -> None:
    with pytest.raises(UsageError, match="would replace the image's"):
        checked_packages([], [entry], STACK)


def test_a_debian_package_in_two_versions_is_refused() -> None:
    with pytest.raises(UsageError, match="git twice"):
        checked_packages(["git", "git=1:2"], [], STACK)


def test_order_duplicates_and_spelling_do_not_count_and_every_other_change_does() -> None:
    one = checked_packages(["htop", "git", "htop"], ["b", "A_x", "a-x"], STACK)
    assert one == checked_packages(["git", "htop"], ["a.x", "b"], STACK)
    others = [
        checked_packages(["git"], ["a-x", "b"], STACK),
        checked_packages(["git", "htop"], ["a-x==1", "b"], STACK),
        checked_packages(["git", "htop", "nano"], ["a-x"], STACK),
    ]
    assert len({packages.digest() for packages in (one, *others)}) == 4
    assert one.digest() != one.digest(b"recipe") != one.digest(b"other recipe")


def test_no_packages_are_no_layer() -> None:
    assert not checked_packages([], [], STACK)
    assert checked_packages(["htop"], [], STACK) and checked_packages([], ["einops"], STACK)
