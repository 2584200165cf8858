"""What is named for messages amid their surrounding log, and what is not named for logs without a fault."""

from __future__ import annotations

import pytest

from envcheck.causes import causes
from envcheck.explain import explain_text
from tests.unit.envcheck.explain.corpus import Case, cases
from tests.unit.test_engine_errors import MESSAGES

PUBLIC, WORDINGS, HEALTHY = cases("public_*.txt"), cases("wording_*.txt"), cases("healthy_*.txt")


@pytest.mark.parametrize("case", [*PUBLIC, *WORDINGS], ids=lambda case: case.name)
def test_the_root_cause_is_named_first(case: Case) -> None:
    named = [match.cause for match in explain_text(case.text)]
    assert named[:1] == list(case.causes[:1])
    assert set(case.causes) <= set(named)


@pytest.mark.parametrize("case", HEALTHY, ids=lambda case: case.source)
def test_nothing_is_named_where_there_is_no_fault_of_the_environment(case: Case) -> None:
    assert explain_text(case.text) == ()


def test_every_cause_has_a_case_and_enough_are_from_public_reports() -> None:
    named = {cause for case in (*PUBLIC, *WORDINGS) for cause in case.causes}
    assert set(causes()) - named == {"none"}
    assert len({case.source for case in PUBLIC}) >= 60
    assert all(case.source.startswith("https://") for case in PUBLIC)
    assert len(HEALTHY) >= 60


@pytest.mark.parametrize(("message", "code", "cause"), MESSAGES)
def test_what_an_engine_says_when_an_environment_cannot_start(message: str, code: int, cause: str) -> None:
    assert explain_text(message)[0].cause == cause


def test_the_evidence_is_the_line_as_it_stood() -> None:
    text = "start\n\njupyter-1  | \x1b[31mRuntimeError: No CUDA GPUs are available\x1b[0m  \nend\n"
    match = explain_text(text)[0]
    assert (match.line, match.evidence) == (3, "jupyter-1  | RuntimeError: No CUDA GPUs are available")


def test_a_text_that_tells_more_than_its_cause_has_its_own_reason_and_fix() -> None:
    match = explain_text("node1:1:9 [0] transport/net_ib.cc:700 NCCL WARN Call to ibv_reg_mr failed")[0]
    catalogued = causes()[match.cause]
    assert "memory" in match.why and match.why != catalogued.why
    assert "memlock" in match.fix[0] and match.fix != catalogued.fix
