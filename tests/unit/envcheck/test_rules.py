"""Every rule at least once where it must speak and once where it must not. All machines are invented."""

from __future__ import annotations

import pytest

from envcheck.checks import BY_ID
from envcheck.facts import Facts
from tests.unit.envcheck.rules import container, cuda, driver, health, libraries, links, stack, torch
from tests.unit.envcheck.rules.cases import Rule

RULES: list[Rule] = [
    *driver.RULES,
    *container.RULES,
    *health.RULES,
    *links.RULES,
    *cuda.RULES,
    *stack.RULES,
    *torch.RULES,
    *libraries.RULES,
]
# These describe; there is nothing they could fail at.
QUIET = {"nvidia-hardware", "gpu-persistence"}


@pytest.mark.parametrize(
    ("check", "facts", "status", "cause"),
    [pytest.param(*rule[1:], id=f"{rule[1]}: {rule[0]}") for rule in RULES],
)
def test_rule(check: str, facts: Facts, status: str, cause: str | None) -> None:
    finding = BY_ID[check].judge(facts)
    assert (finding.check, finding.status.value, finding.cause) == (check, status, cause), finding
    if cause is not None or status == "warn":
        assert finding.fix and finding.evidence and finding.reference
    if status in ("fail", "warn"):
        assert finding.evidence


def test_every_check_has_a_rule_that_speaks_and_one_that_does_not() -> None:
    for check in BY_ID:
        statuses = {status for _, name, _, status, _ in RULES if name == check}
        assert statuses & {"ok", "skip"}, check
        assert check in QUIET or statuses & {"fail", "warn"}, check
