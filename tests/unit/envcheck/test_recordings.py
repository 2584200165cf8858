"""Facts as JSON, what a recording gives away, and the recorded machines of tests/facts (all labelled synthetic)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from envcheck.codec import DecodeError, decode, encode
from envcheck.facts import Crash, Facts, Request
from envcheck.finding import Status
from envcheck.judge import judge
from envcheck.redact import redact
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside, torch

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


def test_a_recording_gives_away_no_identity_and_no_home() -> None:
    home = Path("/home/alice")
    uuid = "GPU-11111111-2222-3333-4444-555555555555"
    facts = inside(
        gpu_host(), "gpu", NVIDIA_VISIBLE_DEVICES=uuid, LD_LIBRARY_PATH="/home/alice/lib:/home/alicelike/lib"
    )
    facts = replace(
        facts,
        container=replace(facts.container, request=Request("gpu", (uuid,))),
        torch=torch(
            python="/home/alice/venv/bin/python",
            location="/home/alice/venv/lib/python3.11/site-packages/torch",
            crashes=(Crash("cudnn", stderr="cannot load /home/alice/x.so"),),
        ),
    )
    text = json.dumps(encode(redact(facts, home)))
    assert uuid[4:] not in text
    assert "/home/alice/" not in text
    assert "/home/alicelike/lib" in text, "a whole path component, never a part of a name"
    assert "~/venv/bin/python" in text


@pytest.mark.parametrize("facts", [gpu_host(), change(gpu_host(driver="470.1"), "nvml", devices=()), cpu_host()])
def test_a_redacted_recording_is_judged_the_same(facts: Facts) -> None:
    before, after = judge(facts), judge(redact(facts, Path("/usr")))
    assert (before.verdict, before.root_cause) == (after.verdict, after.root_cause)
    assert [item.check for item in before.findings] == [item.check for item in after.findings]
