"""The text form: verdict and fix first, one line a topic, details only for problems. Machines are invented."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from envcheck.checks import TOPICS
from envcheck.facts import Facts, Hardware, KernelLog, Memory
from envcheck.judge import judge
from envcheck.report import render_json, render_text
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside, torch
from tests.unit.envcheck.rules.cases import cuda, health, nvml

HEALTHY = """\
envcheck: OK: every check that applies here passed

  ok     driver     driver 570.124.06, open kernel module; NVML lists 1 GPU
  ok     cuda       CUDA initialises and sees 1 GPU
  ok     torch      torch 2.8.0+cu128, CUDA 12.8; PyTorch sees 1 GPU; torchvision 0.23.0 belongs to it
  ok     cudnn      cuDNN 9.10.2
  ok     nccl       NCCL 2.27.3; all-reduce ran (gloo: 2 ranks, nccl: 1 rank)
  ok     container  containers can use the card (runtime nvidia)
  ok     memory     /dev/shm has 16.0 GiB
  ok     health     no Xid error since boot (/dev/kmsg); no uncorrected memory error, no row waits to be replaced"""


def text(facts: Facts, colour: bool = False) -> str:
    return render_text(judge(facts), colour=colour)


def test_a_healthy_machine_is_a_verdict_and_eight_lines() -> None:
    assert text(gpu_host()) == HEALTHY


def test_a_machine_without_a_card_is_never_called_ok() -> None:
    first, _, *rest = text(cpu_host()).splitlines()
    assert first == "envcheck: NO GPU: no NVIDIA card was found. PyTorch runs on the CPU here."
    assert [line.split()[1] for line in rest] == list(TOPICS)
    assert rest[0].split()[0] == "-" and "ok" not in first


def test_limits_are_told_also_where_all_is_well() -> None:
    older = change(gpu_host(driver="550.54.15"), "cuda", driver_version=12040)
    assert "works, with limits: it knows CUDA 12.4" in text(older).splitlines()[2]


def test_the_root_cause_comes_first_and_the_rest_as_its_consequences() -> None:
    lines = text(nvml(999, cuda(803))).splitlines()
    assert lines[0].startswith("envcheck: FAIL: libcuda does not belong") and lines[0].endswith(
        "[cuda-compat-mismatch]"
    )
    assert lines[1].startswith("     fix: ")
    problems = [line for line in lines if line.startswith(("FAIL ", "WARN "))]
    assert [line.split()[1] for line in problems] == ["cuda-init", "nvml"]
    after = lines[lines.index(problems[1]) :]
    assert after[-1] == "  fix   likely caused by cuda-compat-mismatch: fix that first, then run envcheck again"
    assert not any(line.startswith(("  docs", "  why")) for line in after)
    assert len(after) == 4, "what follows is told in short"


def test_a_warning_beside_a_failure_that_does_not_explain_it_keeps_its_own_fix() -> None:
    shown = text(inside(replace(cuda(803), memory=Memory(1 << 20, 1 << 20)), "gpu"))
    after = shown[shown.index("WARN shared-memory [shm-too-small]") :]
    assert "--shm-size" in after and "likely caused" not in after


def test_a_problem_without_a_cause_is_told_by_its_summary() -> None:
    lines = text(health(pcie_width=4)).splitlines()
    assert lines[0] == "envcheck: WARN: GPU 0 (RTX 4090) uses fewer PCIe lanes than card and slot have"
    assert "reseat" in lines[1]


def test_what_could_not_be_looked_at_is_told_with_how_to_allow_it() -> None:
    shown = text(gpu_host(kernel_log=KernelLog(error="/dev/kmsg: Operation not permitted")))
    assert shown.splitlines()[0].startswith("envcheck: OK")
    told = shown[shown.index("not looked at: kernel-log: ") :].splitlines()
    assert "Operation not permitted" in told[0] and "sudo envcheck" in told[1] and "group adm" in told[2]
    assert "not looked at" not in text(cpu_host())


def test_a_topic_shows_its_worst_and_why_it_does_not_apply_only_once() -> None:
    shown = text(inside(cpu_host(torch=None), "cpu"))
    line = next(line for line in shown.splitlines() if line.split()[1:2] == ["torch"])
    assert line == "  -      torch      PyTorch was not looked at"
    mixed = text(gpu_host(torch=torch(c_compiler=None)))
    line = next(line for line in mixed.splitlines() if line.split()[1:2] == ["torch"])
    assert line == "  WARN   torch      torch.compile will not work: no C compiler"


def test_a_check_that_broke_is_a_problem_and_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(gpu_host(), memory=None)  # type: ignore[arg-type]  (facts that no codec would let in)
    shown = text(broken)
    assert shown.startswith("envcheck: UNKNOWN: ")
    assert "CRASH shared-memory: this check itself failed: AttributeError" in shown


@pytest.mark.parametrize("facts", [gpu_host(), cpu_host(), cuda(803), health(pcie_width=4)])
def test_colour_changes_no_word(facts: Facts) -> None:
    coloured = text(facts, colour=True)
    assert "\x1b[" in coloured and "\x1b" not in text(facts)
    plain = coloured
    for code in ("32", "33", "31;1", "35", "2", "0"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == text(facts)


def test_the_first_line_says_what_is_wrong_here_and_not_all_that_the_cause_may_mean() -> None:
    old = text(gpu_host(driver="470.82.01")).splitlines()[0]
    assert old == "envcheck: FAIL: driver 470.82.01 is older than 525.60.13, the lowest for CUDA 12 [driver-too-old]"
    # CUDA works: "CUDA cannot initialise", which this cause also stands for, would be wrong.
    limited = text(nvml(999, gpu_host())).splitlines()[0]
    assert limited == "envcheck: WARN: NVML error 999: unknown [cuda-unknown-init]"


def test_a_topic_without_a_telling_check_is_short() -> None:
    hidden = health(ecc_uncorrected=None, remap_pending=None)
    shown = text(replace(hidden, kernel_log=KernelLog(error="hidden")))
    line = next(line for line in shown.splitlines() if line.startswith("  ok     health"))
    assert line.count(";") == 1


def test_no_verdict_says_what_was_missing() -> None:
    stale = cpu_host(hardware=Hardware(True, (), ("/dev/nvidiactl exists",)), torch=None)
    first = text(stale).splitlines()[0]
    assert first.startswith("envcheck: UNKNOWN: not enough could be checked for a verdict: libcuda.so.1 does not load")


def test_words_of_others_neither_break_lines_nor_steer_the_terminal() -> None:
    shown = text(gpu_host(kernel_log=KernelLog(error="one\ntwo\x1b[31m \u009b caf\u00e9 \ud800")))
    line = next(line for line in shown.splitlines() if line.startswith("not looked at"))
    assert "one two [31m   caf\u00e9 \ud800" in line and "\x1b" not in shown and "\u009b" not in shown


def test_json_is_one_object() -> None:
    assert json.loads(render_json(judge(gpu_host())))["verdict"] == "ok"
