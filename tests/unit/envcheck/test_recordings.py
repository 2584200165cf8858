"""Facts as JSON, and the recorded machines of tests/facts (labelled synthetic, or with where they were recorded)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envcheck.codec import DecodeError, decode, encode
from envcheck.collect import collect
from envcheck.facts import Facts
from envcheck.finding import Status
from envcheck.judge import judge
from envcheck.redact import redact
from tests.unit.envcheck.machines import cpu_host, gpu_host, inside

RECORDINGS = sorted((Path(__file__).parents[2] / "facts").glob("*.json"))


@pytest.mark.parametrize("facts", [gpu_host(), cpu_host(), inside(gpu_host(), "gpu", LD_LIBRARY_PATH="/x"), Facts()])
def test_facts_survive_json(facts: Facts) -> None:
    assert decode(Facts, json.loads(json.dumps(encode(facts)))) == facts


def test_a_newer_recording_with_more_fields_is_read() -> None:
    document = encode(gpu_host())
    document["invented_later"] = {"a": 1}
    document["memory"]["also_later"] = 2
    assert decode(Facts, document) == gpu_host()


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"memory": []}, "facts.memory"),
        ({"memory": {"shm_total": "many"}}, "facts.memory.shm_total"),
        ({"memory": {"shm_total": True}}, "facts.memory.shm_total"),
        ({"hardware": {"cards": {}}}, "facts.hardware.cards"),
        ({"hardware": {"cards": [{}]}}, "facts.hardware.cards[0]"),
        ({"environment": ["x"]}, "facts.environment"),
        ([], "facts"),
    ],
)
def test_a_wrong_shape_is_refused_by_its_place(document: object, place: str) -> None:
    with pytest.raises(DecodeError, match="^" + place.replace("[", r"\[").replace("]", r"\]") + ":"):
        decode(Facts, document)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recorded_healthy_machine_gives_no_failure_and_no_warning(path: Path) -> None:
    document = json.loads(path.read_text())
    assert document["origin"].startswith(("synthetic", "recorded"))
    report = judge(decode(Facts, document["facts"]))
    bad = [finding for finding in report.findings if finding.status not in (Status.OK, Status.SKIP)]
    assert (report.verdict, bad) == (document["verdict"], [])


def test_there_are_recordings() -> None:
    assert len(RECORDINGS) >= 8


def judged(facts: Facts) -> dict[str, object]:
    report = judge(facts).to_json()
    # The hardware's evidence names what was seen; that is all of it a reader gets.
    return {**report, "reason": None}


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recording_is_judged_elsewhere_as_it_was_here(path: Path) -> None:
    facts = decode(Facts, json.loads(path.read_text())["facts"])
    again = decode(Facts, json.loads(json.dumps(encode(redact(facts, Path("/home/alice"))))))
    assert judged(again) == judged(facts)
    assert redact(again, Path("/home/bob")) == again, "redacted once is redacted"


def test_this_machine_is_judged_elsewhere_as_it_is_here(tmp_path: Path) -> None:
    here = collect(Path("/"), torch=False)
    elsewhere = decode(Facts, json.loads(json.dumps(encode(redact(here, Path.home())))))
    told = [(item.check, item.status, item.cause, item.summary, item.fix) for item in judge(here).findings]
    assert [(item.check, item.status, item.cause, item.summary, item.fix) for item in judge(elsewhere).findings] == told
    assert judge(elsewhere).verdict == judge(here).verdict
