"""What a root cause explains, and what it never does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from envcheck import judge as judging
from envcheck.checks import CHECKS, Check
from envcheck.finding import Finding, Status
from envcheck.judge import judge
from tests.unit.envcheck.machines import gpu_host

# Health is looked at by itself: a worn-out card is no consequence of a wrong driver.
NEVER_EXPLAINED = {
    "torch-build", "torch-extensions", "torch-compile", "torchvision-pair", "torchvision-nms", "cudnn",
    "stack-shadowed", "nccl-version", "nccl-interface", "shared-memory", "locked-memory", "container-runtime",
    "image-requirement", "kernel-log", "gpu-memory", "gpu-compute-mode", "gpu-mig", "gpu-fabric", "ptx-compiler",
    "gpu-nvlink", "gpu-pcie", "gpu-clocks", "gpu-persistence",
}  # fmt: skip


def test_only_what_stands_on_a_lower_layer_is_ever_explained_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(check: Check) -> Check:
        return replace(check, judge=lambda _: Finding(check.id, Status.FAIL, "broken by a test"))

    checks = tuple(failing(check) for check in CHECKS)
    monkeypatch.setattr(judging, "CHECKS", checks)
    report = judge(gpu_host())
    assert report.findings[0].check == CHECKS[0].id
    assert set(report.consequences) == {check.id for check in CHECKS[1:]} - NEVER_EXPLAINED


@pytest.mark.parametrize("first", [check.id for check in CHECKS if check.id in NEVER_EXPLAINED])
def test_a_fault_beside_the_gpus_path_explains_nothing_unless_a_card_is_at_fault(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = [check.id for check in CHECKS].index(first)

    def failing(check: Check) -> Check:
        status = Status.FAIL if [item.id for item in CHECKS].index(check.id) >= reached else Status.OK
        return replace(check, judge=lambda _: Finding(check.id, status, "broken by a test"))

    monkeypatch.setattr(judging, "CHECKS", tuple(failing(check) for check in CHECKS))
    explains = {
        "image-requirement",
        "kernel-log",
        "gpu-memory",
        "gpu-compute-mode",
        "gpu-mig",
        "gpu-fabric",
        "ptx-compiler",
    }
    later = {check.id for check in CHECKS[reached + 1 :]} - NEVER_EXPLAINED
    assert set(judge(gpu_host()).consequences) == (later if first in explains else set())
