"""The programs as children under the runner, with the real PyTorch and a CPU for every GPU (simulated devices)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from envcheck.gputests.judge import gpu_findings
from envcheck.gputests.judge_transfers import all_reduce_finding, transfer_findings
from envcheck.gputests.levels import NUMBERS
from envcheck.gputests.programs.transfers import host_copies, peer_copy
from envcheck.gputests.runner import Outcome, Program, run_programs
from tests.torch.envcheck.cpu import Cpu
from tests.unit.envcheck.gpu.reports import H100, SECOND

ROOT = Path(__file__).parents[3]
SIZE = 1 << 16


def run(program: str, *stages: str, tmp_path: Path, **environ: str) -> Outcome:
    command = (sys.executable, "-m", "tests.torch.envcheck.cpu_program", program)
    limits = {"": 120.0, "hang": 0.5, "compile": 300.0}
    # Gloo stands in for NCCL, over loopback: what is tried is the program, not the machine's network.
    added = {"PYTHONPATH": str(ROOT), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "GLOO_SOCKET_IFNAME": "lo"}
    variables = {**os.environ, **added, **environ}
    return run_programs([Program(program, command, stages, limits)], variables, lambda *_: None)[0]


def test_a_broken_proof_of_each_kind_leaves_every_other_one_its_result(tmp_path: Path) -> None:
    outcome = run("one_gpu", "matmul", "abort", "convolution", "raise", "hang", "nms", tmp_path=tmp_path)
    assert {"matmul", "convolution", "nms"} <= set(outcome.stages)
    assert "ZeroDivisionError" in outcome.stages["raise"]["error"]
    assert [(crash.stage, crash.signal, crash.timed_out) for crash in outcome.crashes] == [
        ("abort", "SIGABRT", False),
        ("hang", None, True),
    ]


def test_every_number_of_a_cpu_passes_the_judgement_as_a_gpus_would(tmp_path: Path) -> None:
    outcome = run("one_gpu", *NUMBERS, "load", tmp_path=tmp_path)
    statuses = {item.check: item.status.value for item in gpu_findings(H100, NUMBERS, outcome)}
    # PyTorch convolves on a CPU by itself, and this wheel may come without torchvision: neither is a pass.
    unproven = {"gpu-convolution", *([] if "equal" in outcome.stages["nms"] else ["gpu-nms"])}
    if outcome.stages["import"]["cuda"] is None:
        assert statuses["gpu-pytorch"] == "fail"
        del statuses["gpu-pytorch"]
    assert {check for check, status in statuses.items() if status == "skip"} == unproven
    assert set(statuses.values()) == {"ok", "skip"}
    assert outcome.stages["load"]["worst"] == 0.0


def test_a_function_is_compiled_anew_and_agrees(tmp_path: Path) -> None:
    values = run("one_gpu", "compile", tmp_path=tmp_path).stages["compile"]
    if "skip" in values:
        pytest.skip(values["skip"])
    assert values["worst"] <= values["tolerance"]
    assert any(tmp_path.rglob("*.so")), "nothing was compiled"


def test_compiling_that_is_turned_off_is_no_pass(tmp_path: Path) -> None:
    values = run("one_gpu", "compile", tmp_path=tmp_path, TORCHDYNAMO_DISABLE="1").stages["compile"]
    assert "skip" in values and "worst" not in values


@pytest.mark.parametrize(("kind", "ranks"), [("one", 1), ("two", 2)])
def test_an_all_reduce_of_real_processes_is_right_on_every_rank(kind: str, ranks: int, tmp_path: Path) -> None:
    outcome = run("collective", kind, tmp_path=tmp_path)
    values = outcome.stages["all-reduce"]
    assert (values["ranks"], values["wrong"], values["bytes"]) == (ranks, 0, SIZE)
    # 2 (n - 1) / n of the data rate, which is the data rate itself for two ranks
    assert values["bus"] == (None if ranks == 1 else pytest.approx(values["rate"]))
    assert all_reduce_finding(outcome).status.value == "ok"


@pytest.mark.parametrize(
    ("kind", "text"),
    [("absent", "rank 1: RuntimeError: CUDA error: invalid device"), ("aborting", "rank 1 ended with SIGABRT")],
)
def test_the_rank_that_failed_is_named_and_the_others_do_not_wait_for_it(kind: str, text: str, tmp_path: Path) -> None:
    outcome = run("collective", kind, tmp_path=tmp_path)
    assert text in outcome.stages["all-reduce"]["error"]
    assert all_reduce_finding(outcome).status.value == "fail"


def test_copies_run_stage_by_stage_and_are_judged(tmp_path: Path) -> None:
    outcome = run("transfers", "copy 0", "copy 1", "peer 0 1", "peer 1 0", tmp_path=tmp_path)
    assert [item.status.value for item in transfer_findings((H100, SECOND), outcome)] == ["ok"] * 4


class Corrupting(Cpu):
    """Copies lose the last number."""

    def copy(self, target: Any, source: Any) -> None:
        target.copy_(source)
        target[-1] = 0


def test_copies_that_lose_a_number_show() -> None:
    assert host_copies(torch, Cpu(torch), 1, SIZE)["wrong"] == 0
    assert host_copies(torch, Corrupting(torch), 1, SIZE)["wrong"] == 1
    assert peer_copy(torch, Corrupting(torch), 0, 1, SIZE)["wrong"] == 1


def test_a_copy_uses_its_own_gpu_and_says_whether_it_was_direct() -> None:
    cpu = Cpu(torch, direct=False)
    values = peer_copy(torch, cpu, 1, 0, SIZE)
    assert (values["direct"], values["wrong"], cpu.used) == (False, 0, [1])
