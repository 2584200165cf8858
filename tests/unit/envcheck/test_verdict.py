"""From findings to one verdict, one root cause, and an exit code. All machines are invented."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from envcheck import judge as judging
from envcheck.checks import CHECKS, Check
from envcheck.exits import exit_code
from envcheck.facts import Card, Crash, Cuda, Driver, Facts, Hardware, Memory, Nvml, Request, Torch
from envcheck.finding import Finding
from envcheck.judge import examine, judge
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside, torch


def broken(code: int, facts: Facts | None = None, path: str = "/usr/lib/x86_64-linux-gnu/libcuda.so.1") -> Facts:
    return change(facts or gpu_host(), "cuda", init_code=code, device_count=None, devices=(), path=path)


SEVEN_FAULTS = {
    "half-done upgrade: NVML 18 and cuInit 803": (
        change(broken(803), "nvml", init_code=18, devices=(), driver_version=None),
        "driver-library-mismatch",
    ),
    "cuda-compat on a GeForce: 804": (
        broken(804, gpu_host(driver="535.104.05"), "/usr/local/cuda-12.8/compat/libcuda.so.570.26"),
        "cuda-forward-compat-unsupported",
    ),
    "driver 470 under a CUDA 12 wheel": (gpu_host(driver="470.82.01"), "driver-too-old"),
    "NVSwitch fabric: 802": (broken(802), "cuda-fabric-manager"),
    "P100 on a wheel from 7.0": (gpu_host(capability="6.0", name="P100"), "arch-unsupported"),
    "NVML 999 in a container": (
        inside(change(broken(100), "nvml", init_code=999, devices=(), driver_version=None), "gpu"),
        "container-lost-gpu",
    ),
    "shadowed cuDNN": (
        gpu_host(torch=torch(cudnn=None, crashes=(Crash("cudnn", "SIGABRT", False, -6, "undefined symbol"),))),
        "cudnn-shadowed",
    ),
}


@pytest.mark.parametrize(("facts", "cause"), SEVEN_FAULTS.values(), ids=SEVEN_FAULTS.keys())
def test_the_root_cause_is_named_first_and_the_exit_code_is_1(facts: Facts, cause: str) -> None:
    report = judge(facts)
    assert (report.verdict, report.root_cause, report.findings[0].cause) == ("fail", cause, cause)
    assert exit_code(report) == 1


def test_a_healthy_gpu_machine_is_ok_and_a_healthy_machine_without_one_is_no_gpu() -> None:
    assert (judge(gpu_host()).verdict, exit_code(judge(gpu_host()), require_gpu=True)) == ("ok", 0)
    report = judge(cpu_host())
    assert (report.verdict, report.root_cause) == ("no-gpu", None)
    assert (exit_code(report), exit_code(report, require_gpu=True)) == (0, 3)


def test_a_warning_is_exit_1_only_with_strict() -> None:
    for facts, verdict in ((gpu_host(memory=Memory(1, 1)), "warn"), (cpu_host(memory=Memory(1, 1)), "no-gpu")):
        report = judge(facts)
        assert (report.verdict, report.root_cause) == (verdict, "shm-too-small")
        assert (exit_code(report), exit_code(report, strict=True)) == (0, 1)


def test_a_request_for_the_cpu_overrides_the_hosts_bus_and_says_why() -> None:
    facts = inside(cpu_host(hardware=Hardware(False, (Card("0000:01:00.0", "0x2684", "0x030000", "nvidia"),))), "cpu")
    report = judge(facts)
    assert report.verdict == "no-gpu"
    assert "asked for by a test" in report.reason


def test_a_request_for_a_gpu_makes_an_invisible_one_a_failure() -> None:
    report = judge(inside(cpu_host(), "gpu"))
    assert (report.verdict, report.root_cause) == ("fail", "container-no-gpu-runtime")


def test_a_libcuda_that_fails_is_a_failure_even_where_the_request_was_for_the_cpu_and_no_card_shows() -> None:
    facts = cpu_host(
        hardware=Hardware(True, (), ("/opt/fake/libcuda.so.1 loads",)),
        cuda=Cuda(True, path="/opt/fake/libcuda.so.1", driver_version=12080, init_code=803),
    )
    report = judge(inside(facts, "cpu"))
    assert (report.verdict, report.root_cause, exit_code(report)) == ("fail", "cuda-compat-mismatch", 1)


def test_what_the_root_cause_explains_is_marked_and_what_it_does_not_is_not() -> None:
    facts = change(broken(803), "nvml", init_code=999, devices=())
    report = judge(replace(facts, torch=torch(torchvision=replace_vision())))
    assert report.findings[0].check == "cuda-init"
    assert report.consequences == ("nvml",)
    assert "torchvision-pair" in [finding.check for finding in report.findings if finding.cause]


def replace_vision() -> object:
    vision = torch().torchvision
    assert vision is not None
    return replace(vision, requires_torch="2.7.1")


def test_a_card_that_nothing_proves_to_work_is_never_ok() -> None:
    stale_node = Facts(
        hardware=Hardware(True, (), ("/dev/nvidiactl exists",)),
        driver=Driver(device_nodes=("/dev/nvidiactl",)),
        cuda=Cuda(error="not found"),
        nvml=Nvml(error="not found"),
        torch=Torch(),
        memory=gpu_host().memory,
    )
    assert judge(stale_node).verdict != "ok"
    assert exit_code(judge(stale_node)) != 0


def test_only_and_skip_choose_topics_and_leave_the_verdict_to_what_was_judged() -> None:
    only = judge(broken(803), only=("memory",))
    assert [finding.check for finding in only.findings] == ["shared-memory", "locked-memory"]
    skipped = judge(gpu_host(memory=Memory(1, 1)), skip=("memory",))
    assert skipped.verdict == "ok"


def test_a_check_that_breaks_hides_no_other_and_makes_the_verdict_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(_: Facts) -> Finding:
        raise RuntimeError("boom")

    broken_check = Check("shared-memory", "memory", explode, on_gpu_path=False)
    checks = tuple(broken_check if check.id == "shared-memory" else check for check in CHECKS)
    monkeypatch.setattr(judging, "CHECKS", checks)
    report = judge(gpu_host())
    assert (report.verdict, exit_code(report)) == ("unknown", 3)
    assert len(report.findings) == len(CHECKS)
    assert judge(broken(803)).verdict == "fail"


@pytest.mark.parametrize(
    ("distribution", "steps"),
    [
        ("debian", ["sudo apt install nvidia-driver"]),
        ("ubuntu", ["sudo ubuntu-drivers install"]),
        ("arch", ["Debian: ", "Ubuntu: "]),
    ],
)
def test_the_fix_is_the_command_of_this_distribution(distribution: str, steps: list[str]) -> None:
    card = Hardware(True, (Card("0000:01:00.0", "0x2684", "0x030000", None),), ("a card",))
    bare = cpu_host(hardware=card, distribution=distribution)
    first = judge(bare).findings[0]
    assert first.cause == "driver-missing"
    assert [fix.startswith(step) for fix, step in zip(first.fix, steps, strict=False)] == [True] * len(steps)
    assert ("Debian: " in "".join(first.fix)) is (distribution == "arch")


def test_versions_are_what_each_part_reports() -> None:
    assert judge(gpu_host()).versions == {
        "torch": "2.8.0+cu128",
        "torch_cuda": "12.8",
        "torchvision": "0.23.0",
        "cudnn": 91002,
        "nccl": "2.27.3",
        "driver": "570.124.06",
        "cuda_driver": 12080,
        "python": "3.11.2",
    }


def test_examine_judges_an_injected_root_without_importing_torch(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    report = examine(tmp_path, torch=False, environ={"PATH": "/usr/bin:/bin"})
    assert report.verdict == "no-gpu"
    assert report.versions["torch"] is None


def test_a_request_names_its_gpus_where_it_gives_no_reason() -> None:
    facts = inside(cpu_host(), "gpu")
    named = replace(facts, container=replace(facts.container, request=Request("gpu", ("GPU-1",))))
    assert "GPU-1" in judge(named).reason


def test_pytorch_is_looked_at_only_where_a_topic_needs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[bool] = []

    def collect(root: Path, *, torch: bool, environ: object) -> Facts:
        asked.append(torch)
        return cpu_host()

    monkeypatch.setattr(judging, "collect", collect)
    examine(tmp_path)
    examine(tmp_path, only=("memory",))
    examine(tmp_path, skip=("torch", "cudnn"))
    examine(tmp_path, skip=("torch", "cudnn", "nccl"))
    examine(tmp_path, torch=False)
    assert asked == [True, False, True, False, False]


def test_the_drivers_cuda_version_is_nvmls_where_cuda_does_not_tell() -> None:
    facts = change(gpu_host(), "nvml", cuda_version=12040)
    assert judge(facts).versions["cuda_driver"] == 12080
    assert judge(change(facts, "cuda", driver_version=None)).versions["cuda_driver"] == 12040


def test_a_warning_is_the_root_cause_where_nothing_failed_and_explains_nothing() -> None:
    report = judge(replace(gpu_host(memory=Memory(1, 1)), nvml=Nvml(error="gone")))
    assert (report.verdict, report.root_cause, report.consequences) == ("warn", "driver-missing", ())


def test_nothing_that_applies_is_no_verdict() -> None:
    assert judge(gpu_host(), only=("container",)).verdict == "ok"
    assert judge(gpu_host(torch=None), only=("torch",)).verdict == "unknown"
