"""Copies and the all-reduce, as findings. All reports are invented."""

from __future__ import annotations

from typing import Any

import pytest

from envcheck.facts import Crash
from envcheck.finding import Finding
from envcheck.gputests.judge_transfers import all_reduce_finding, transfer_findings
from envcheck.gputests.runner import Outcome
from tests.unit.envcheck.gpu.reports import H100, MIG, SECOND, copied, imported, peer, reduced, transfers

BOTH = (H100, SECOND)


def statuses(findings: list[Finding]) -> list[str]:
    return [f"{item.check} {item.status.value}" for item in findings]


def test_two_healthy_gpus_are_ok_with_their_bandwidths() -> None:
    findings = transfer_findings(BOTH, transfers())
    assert statuses(findings) == ["gpu-copy ok", "gpu-copy ok", "gpu-peer-copy ok", "gpu-peer-copy ok"]
    assert "GPU 0: pinned copies: 55.0 GB/s to the GPU, 53.0 GB/s back, data right" in findings[0].summary
    assert findings[2].summary == "GPU 0 -> 1: data right, 370.0 GB/s"


@pytest.mark.parametrize(("gpu", "reason"), [(H100, "only one GPU"), (MIG, "MIG instance")])
def test_copies_between_gpus_are_skipped_where_there_are_no_two(gpu: Any, reason: str) -> None:
    findings = transfer_findings((gpu,), transfers())
    assert statuses(findings) == ["gpu-copy ok", "gpu-peer-copy skip"]
    assert reason in findings[1].summary


def test_a_topology_without_direct_access_is_information() -> None:
    staged = peer(direct=False, rate=11.0)
    findings = transfer_findings(BOTH, transfers(peer_0_1=staged, peer_1_0=staged))
    assert statuses(findings)[2:] == ["gpu-peer-copy skip"] * 2
    assert "not permitted by the topology; copies through host memory: data right, 11.0 GB/s" in findings[2].summary


def test_of_three_gpus_direct_and_staged_targets_are_told_apart() -> None:
    third = type(H100)(2, "GPU-2", "third")
    stages = {f"peer {a} {b}": peer(direct=2 not in (a, b), rate=10.0 + b) for a in range(3) for b in range(3)}
    outcome = Outcome({"import": imported(), **{f"copy {index}": copied() for index in range(3)}, **stages})
    findings = transfer_findings((H100, SECOND, third), outcome)[3:]
    assert statuses(findings) == ["gpu-peer-copy ok", "gpu-peer-copy ok", "gpu-peer-copy skip"]
    assert findings[0].summary == (
        "GPU 0 -> 1: data right, 11.0 to 12.0 GB/s; direct access to GPU 2 is not permitted by the topology"
    )


@pytest.mark.parametrize(
    ("outcome", "expected", "cause"),
    [
        (transfers(copy_1=copied(wrong=1)), "gpu-copy fail", None),
        (transfers(copy_1={"error": "OutOfMemoryError: CUDA out of memory"}), "gpu-copy fail", "gpu-out-of-memory"),
        (transfers(peer_1_0=peer(wrong=5)), "gpu-peer-copy fail", "nccl-peer-to-peer"),
        (transfers(peer_1_0=peer(wrong=5, direct=False)), "gpu-peer-copy fail", None),
        (transfers(Crash("peer 1 0", timed_out=True), peer_1_0=None), "gpu-peer-copy fail", "nccl-peer-to-peer"),
        (transfers(Crash("peer 1 0", signal="SIGSEGV"), peer_1_0=None), "gpu-peer-copy fail", None),
    ],
    ids=["copy", "memory", "peer", "staged", "hang", "crash"],
)
def test_wrong_data_a_crash_and_a_hang_fail_on_their_gpu_alone(outcome: Outcome, expected: str, cause: str) -> None:
    findings = transfer_findings(BOTH, outcome)
    bad = [item for item in findings if item.status.value == "fail"]
    assert statuses(bad) == [expected]
    assert bad[0].cause == cause and "GPU 1" in bad[0].summary


def test_a_pair_that_failed_comes_before_one_that_was_not_tried() -> None:
    third = type(H100)(2, "GPU-2", "third")
    outcome = transfers(Crash("peer 0 2", timed_out=True), Crash("peer 1 0", timed_out=True), peer_0_1=None)
    found = transfer_findings((H100, SECOND, third), outcome)[3]
    assert (found.status.value, found.summary) == ("fail", "GPU 0 -> 2: the copy fails")


def test_a_program_that_did_not_start_fails_and_is_never_taken_for_a_pass() -> None:
    crashed = Outcome({}, (Crash("import", signal="SIGKILL"),))
    assert statuses(transfer_findings(BOTH, crashed)) == ["gpu-copy fail"]
    assert all_reduce_finding(crashed).status.value == "fail"


@pytest.mark.parametrize(
    ("values", "status", "cause", "text"),
    [
        (reduced(), "ok", None, "over 2 GPUs: sums right, bus bandwidth 180.0 GB/s"),
        (reduced(ranks=1, bus=None), "ok", None, "over 1 GPU: sums right, one rank uses no bus"),
        (reduced(wrong=1), "fail", "nccl-peer-to-peer", "wrong sums"),
        ({"skip": "this PyTorch is built without NCCL"}, "skip", None, "without NCCL"),
        ({"error": "RuntimeError: rank 1: Duplicate GPU detected"}, "fail", "nccl-duplicate-gpu", "fails"),
        (None, "fail", None, "fails"),
    ],
    ids=["two", "one", "wrong", "no nccl", "error", "silent"],
)
def test_the_all_reduce(values: dict[str, Any] | None, status: str, cause: str | None, text: str) -> None:
    stages = {"import": imported(), **({"all-reduce": values} if values is not None else {})}
    finding = all_reduce_finding(Outcome(stages))
    assert (finding.status.value, finding.cause) == (status, cause)
    assert text in finding.summary


def test_an_all_reduce_that_hangs_is_a_timeout() -> None:
    hung = Outcome({"import": imported()}, (Crash("all-reduce", timed_out=True),))
    assert all_reduce_finding(hung).cause == "nccl-timeout"
