"""A failed build's own words give one cause, one next step and the documented exit code."""

from __future__ import annotations

import io

import pytest

from launcher.progress import Progress
from launcher.setup.failure import build_error, diagnose


@pytest.mark.parametrize(
    ("line", "cause", "code"),
    [
        ("#9 12.3 OSError: [Errno 28] No space left on device", "disk is full", 3),
        ("#9 1.2   × Failed to download `torch`\n  Hash mismatch for `torch`", "not the one that was locked", 1),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "not the one that was locked", 1),
        (
            "#6 0.9 Err:1 http://mirror.example/debian bookworm InRelease Temporary failure resolving 'mirror.example'",
            "name (mirror.example) cannot be resolved",
            3,
        ),
        (
            "error: Request failed https://pkgs.example/simple/torch/: dns error: failed to lookup address information",
            "(pkgs.example) cannot be resolved",
            3,
        ),
        (
            "E: Failed to fetch http://mirror.example/debian/x.deb  404  Not Found",
            "(mirror.example) does not answer",
            3,
        ),
        (
            "Could not connect to mirror.example:80 (127.0.0.1). - connect (111: Connection refused)",
            "does not answer",
            3,
        ),
        ("#7 2.1 invalid peer certificate: UnknownIssuer", "is not trusted", 3),
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "does not answer", 3),
        (
            "permission denied while trying to connect to the daemon socket at unix:///var/run/docker.sock",
            "may not use the engine",
            3,
        ),
        ("  torch: stacks.toml says 1.0, installed is 2.0", "differs from images/stacks.toml", 1),
    ],
)
def test_the_cause_is_named(line: str, cause: str, code: int) -> None:
    found = diagnose(["#1 something harmless", *line.splitlines(), "------", "executor failed running: exit code: 1"])
    assert found is not None
    assert cause in found[0]
    assert found[2] == code
    assert found[1]


def test_credentials_in_an_index_address_are_not_repeated() -> None:
    found = diagnose(["error sending request for url (https://someone:secret@pkgs.example/simple/x/)"])
    assert found is not None
    assert "secret" not in found[0] + found[1]
    assert "pkgs.example" in found[0]


def test_an_unknown_failure_shows_the_last_fifteen_lines_and_says_what_failed() -> None:
    stream = io.StringIO()
    error = build_error([f"line {n}" for n in range(40)], "the image x could not be built", Progress(stream))
    assert error.cause == "the image x could not be built"
    assert error.code == 1
    assert stream.getvalue().splitlines() == [f"  | line {n}" for n in range(25, 40)]
