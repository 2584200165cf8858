"""The same faults through everything that stands between a program and a reader: collectors, terminals, encodings."""

from __future__ import annotations

import io
import json
import textwrap
from collections.abc import Callable

import pytest

from envcheck.explain import explain_stream
from tests.unit.envcheck.explain.corpus import cases

CASES = cases("public_*.txt")
SURROUNDING = "\n".join(case.text for case in cases("healthy_1.txt")[:2]) * 40


def each(form: Callable[[str], str]) -> Callable[[str], bytes]:
    return lambda text: "".join(form(line) + "\n" for line in text.splitlines()).encode()


def columns(text: str, width: int) -> bytes:
    """As a terminal of that width breaks lines, in the middle of words."""
    lines = (line[start : start + width] for line in text.split("\n") for start in range(0, max(1, len(line)), width))
    return "\n".join(lines).encode()


def framed(text: str) -> bytes:
    rows = [part for line in text.split("\n") for part in (textwrap.wrap(line, 116) or [""])]
    return "\n".join(f"\u2502 {row:<118} \u2502" for row in rows).encode()


NOISES: dict[str, Callable[[str], bytes]] = {
    "compose": each(lambda line: f"gl-jupyter-1  | {line}"),
    "colours and times of compose": each(lambda line: f"\x1b[36mweb-1  | \x1b[0m2026-11-23T10:00:00.123456789Z {line}"),
    "ranks": each(lambda line: f"[rank0]: {line}"),
    "mpirun": each(lambda line: f"[1,0]<stderr>:{line}"),
    "srun": each(lambda line: f"12: {line}"),
    "syslog": each(lambda line: f"Nov 23 10:00:00 node1 train[4242]: {line}"),
    "Kubernetes": each(lambda line: f"2026-11-23T10:00:00.1Z stderr F {line}"),
    "log of Docker": each(
        lambda line: json.dumps({"log": line + "\n", "stream": "stderr", "time": "2026-11-23T10:00Z"})
    ),
    "journal": each(lambda line: json.dumps({"PRIORITY": "6", "MESSAGE": line, "_PID": "1"})),
    "journal, bytes": each(lambda line: json.dumps({"MESSAGE": list(f"\x1b[31m{line} \x1b[0m".encode()), "_PID": "1"})),
    "one line of JSON": lambda text: json.dumps({"level": "error", "msg": text}).encode(),
    "bold": each(lambda line: f"\x1b[1;31m{line}\x1b[0m"),
    "quoted": each(lambda line: f"> {line}"),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "progress bars": lambda text: b" 10%|#  |\r 20%|## |\r" + text.replace("\n", "\r\n").encode(),
    "UTF-16": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-8 with a mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "zero bytes": lambda text: text.replace("\n", "\n\0\0").encode(),
    "bytes that are no text": lambda text: b"\xff\xfe\xfd\n" + text.encode() + b"\x80\x81",
    "cut off at both ends": lambda text: f"ial line\n{text}\nthe last li".encode(),
    "amid thousands of lines": lambda text: f"{SURROUNDING}\n{text}\n{SURROUNDING}".encode(),
    "80 columns": lambda text: columns(text, 80),
    "a frame": framed,
}


@pytest.mark.parametrize("noise", NOISES)
def test_the_same_root_cause_is_named(noise: str) -> None:
    missed = []
    for case in CASES:
        matches = explain_stream(io.BytesIO(NOISES[noise](case.text)))
        if not matches or matches[0].cause != case.causes[0]:
            missed.append((case.name, [match.cause for match in matches]))
    assert missed == []
