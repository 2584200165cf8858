"""Sizes and limits: what is read, what is refused, and what is only remarked on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from launcher.errors import UsageError
from launcher.limits import limit_warnings, refuse_impossible_limits
from launcher.settings.values import parse_cpus, parse_size, size_text
from launcher.spec import Mode, UpRequest

REQUEST = UpRequest("demo", Mode.JUPYTER, Path("/p"))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16g", 16 << 30),
        ("16G", 16 << 30),
        ("16gb", 16 << 30),
        ("16GiB", 16 << 30),
        ("1.5g", 3 << 29),
        ("512m", 512 << 20),
        ("16384k", 16 << 20),
        ("2t", 2 << 40),
        (" 8g ", 8 << 30),
    ],
)
def test_sizes_are_binary_as_the_engines(text: str, size: int) -> None:
    assert parse_size(text, "--memory") == size
    assert parse_size(size_text(size), "--memory") == size


@pytest.mark.parametrize("text", ["", "g", "16", "-1g", "1e3g", "1,5g", "16 g b", "١٦g", "0g", "5m", "16gg", "inf"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--memory"):
        parse_size(text, "--memory")


@pytest.mark.parametrize(("text", "cpus"), [("4", 4.0), ("0.5", 0.5), (".5", 0.5), ("0.01", 0.01)])
def test_cpus(text: str, cpus: float) -> None:
    assert parse_cpus(text, "--cpus") == cpus


@pytest.mark.parametrize("text", ["", "0", "-1", "0.001", "nan", "inf", "1e3", "two", "1,5"])
def test_what_is_no_number_of_processors_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--cpus"):
        parse_cpus(text, "--cpus")


def test_more_processors_than_there_are() -> None:
    refuse_impossible_limits(replace(REQUEST, cpus=2.0), 2)
    with pytest.raises(UsageError, match=r"--cpus 2\.5 is more than the 2 processor"):
        refuse_impossible_limits(replace(REQUEST, cpus=2.5), 2)


def test_a_limit_that_the_engine_ignores_is_said() -> None:
    request = replace(REQUEST, memory_bytes=1 << 30)
    assert [line.partition(":")[0] for line in limit_warnings(request, 8 << 30, ("memory", "cpus"))] == ["memory"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"memory_bytes": 8 << 30}, []),
        ({"memory_bytes": 16 << 30}, ["memory: 16g is more than this machine has (8.0g), so it limits nothing"]),
        ({"shm_bytes": 9 << 30}, ["shm-size: 9g is more than the memory there is"]),
        ({"shm_bytes": 2 << 30, "memory_bytes": 1 << 30}, ["shm-size: 2g is more than the memory there is"]),
    ],
)
def test_limits_that_cannot_do_what_they_say(changes: dict[str, int], expected: list[str]) -> None:
    found = list(limit_warnings(replace(REQUEST, **changes), 8 << 30))  # type: ignore[arg-type]
    assert len(found) == len(expected) and all(
        line.startswith(start) for line, start in zip(found, expected, strict=True)
    )
