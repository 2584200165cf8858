"""`envcheck gpu` as a user runs it. The driver is a fake library, PyTorch's programs are canned reports (simulated)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.envcheck.gpu.reports import alone, load, reduced, transfers
from tests.waiting import DEADLINE_SECONDS, wait_until

ROOT = Path(__file__).parents[4]
# Stands where PyTorch's Python is looked for: `-c`, the program that names the module, and so on.
CANNED = """#!{python}
import json, sys
canned = json.load(open({reports!r}))
module = next(name for name in canned if name in sys.argv[2])
if "hang" in canned:
    import os, signal
    with open({reports!r} + ".pid.part", "w") as file:
        file.write(str(os.getpid()))
    os.rename({reports!r} + ".pid.part", {reports!r} + ".pid")
    signal.pause()
for stage, values in canned.get(module + " " + sys.argv[4], canned[module]).items():
    print(json.dumps({{"begin": stage}}))
    print(json.dumps({{"stage": stage, "values": values}}), flush=True)
"""


def arguments(*options: str) -> list[str]:
    return [sys.executable, str(ROOT / "envcheck/__main__.py"), "gpu", *options]


def environ(driver: Path, tmp_path: Path, reports: dict[str, Any], **changes: str) -> dict[str, str]:
    (tmp_path / "root").mkdir(exist_ok=True)
    file, python = tmp_path / "reports.json", tmp_path / "python"
    file.write_text(json.dumps(reports))
    python.write_text(CANNED.format(python=sys.executable, reports=str(file)))
    python.chmod(0o755)
    found = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(driver), "ENVCHECK_PYTHON": str(python)}
    return {**found, "ENVCHECK_ROOT": str(tmp_path / "root"), "FAKE_CUDA_COUNT": "2", **changes}


def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments(*options), env=variables, capture_output=True, text=True, timeout=DEADLINE_SECONDS)


def healthy(**changes: Any) -> dict[str, Any]:
    one = {**alone().stages, "load": load().stages["load"]}
    programs = {"one_gpu": one, "transfers": transfers().stages}
    return {**programs, "collective": {**one, "all-reduce": reduced()}, **changes}


def test_full_proves_two_gpus_with_one_line_a_proof_and_gpu(fake_driver: Path, tmp_path: Path) -> None:
    done = run("--full", **environ(fake_driver, tmp_path, healthy()))
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines[0].startswith("envcheck gpu: OK: every GPU computes (")
    # 13 proofs of each GPU by itself or with the others, one all-reduce of both
    assert len(lines) == 1 + 2 * 14 + 1
    assert all(line.startswith("  ok    gpu-") for line in lines[1:])
    assert done.stderr.splitlines() == [
        "proving 2 GPUs with PyTorch",
        "copying to and from 2 GPUs",
        "all-reduce over 2 GPUs",
    ]


def test_json_carries_every_figure_and_is_json_also_where_a_number_is_none(fake_driver: Path, tmp_path: Path) -> None:
    broken = {**alone().stages, "compile": {"worst": float("nan"), "tolerance": 1e-5, "seconds": 1.0}}
    done = run("--json", **environ(fake_driver, tmp_path, healthy(one_gpu=broken)))
    report = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (done.returncode, report["verdict"], report["level"]) == (1, "fail", "standard")
    assert report["figures"]["GPU 1"]["compile"]["worst"] is None
    assert report["figures"]["all-reduce"]["all-reduce"]["bus"] == 180.0
    assert [item["check"] for item in report["findings"] if item["status"] == "fail"] == ["gpu-compile"] * 2


def test_quick_runs_neither_compile_nor_memory_nor_all_reduce(fake_driver: Path, tmp_path: Path) -> None:
    done = run("--quick", "--json", **environ(fake_driver, tmp_path, healthy()))
    checks = {item["check"] for item in json.loads(done.stdout)["findings"]}
    assert checks >= {"gpu-kernel", "gpu-matmul-bf16", "gpu-convolution", "gpu-nms", "gpu-copy", "gpu-peer-copy"}
    assert not checks & {"gpu-compile", "gpu-memory", "gpu-load", "gpu-all-reduce"}


def test_kernel_only_is_silent_without_pytorch_and_keeps_its_keys(fake_driver: Path, tmp_path: Path) -> None:
    done = run("--kernel-only", "--json", **environ(fake_driver, tmp_path, {}, ENVCHECK_PYTHON="/nonexistent"))
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr, report["verdict"]) == (0, "", "ok")
    assert list(report) == ["schema_version", "verdict", "root_cause", "gpus", "findings"]
    assert [item["check"] for item in report["findings"]] == ["gpu-kernel"] * 2


def test_a_failure_stands_in_the_first_line_with_its_first_step_in_the_second(
    fake_driver: Path, tmp_path: Path
) -> None:
    done = run("--kernel-only", **environ(fake_driver, tmp_path, {}, FAKE_CUDA_INIT="802"))
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("envcheck gpu: FAIL: ") and "[cuda-fabric-manager] (" in first
    assert second.startswith("     fix: sudo ")
    none = run("--kernel-only", **environ(tmp_path, tmp_path, {})).stdout.splitlines()
    assert none[0].startswith("envcheck gpu: NO GPU: no NVIDIA card was found (")


def test_a_warning_under_load_is_exit_0_and_says_so(fake_driver: Path, tmp_path: Path) -> None:
    slow = {**alone().stages, "load": load(pcie_width=4).stages["load"]}
    done = run("--full", **environ(fake_driver, tmp_path, healthy(one_gpu=slow)))
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("envcheck gpu: OK, WITH LIMITS")
    assert "  warn  gpu-pcie: GPU 0: PCIe link under load: generation 5 x4, of x16 lanes only 4 are used" in done.stdout


def test_a_gpu_whose_kernel_fails_is_not_given_to_pytorch_and_the_other_still_is(
    fake_driver: Path, tmp_path: Path
) -> None:
    # The fake's one switch breaks both kernels: no program of PyTorch may run then.
    done = run("--json", **environ(fake_driver, tmp_path, healthy(), FAKE_CUDA_WRONG="1"))
    report = json.loads(done.stdout)
    assert (done.returncode, set(report["figures"])) == (1, {"kernel"})


def test_one_gpu_that_pytorch_cannot_reach_keeps_the_all_reduce_from_running(fake_driver: Path, tmp_path: Path) -> None:
    lost = {"import": alone().stages["import"], "device": {"error": "CUDA error: out of memory", "code": 2}}
    done = run("--json", **environ(fake_driver, tmp_path, healthy(**{"one_gpu 1": lost})))
    report = json.loads(done.stdout)
    assert (done.returncode, report["root_cause"]) == (1, "gpu-out-of-memory")
    statuses = {(item["check"], item["status"]) for item in report["findings"]}
    # The copies of the GPU that works are still tried.
    assert {("gpu-pytorch", "fail"), ("gpu-copy", "ok"), ("gpu-all-reduce", "skip")} <= statuses
    assert set(report["figures"]) == {"kernel", "GPU 0", "GPU 1", "copies"}


def test_without_pytorch_the_kernel_is_the_proof_and_the_rest_is_said_to_be_skipped(
    fake_driver: Path, tmp_path: Path
) -> None:
    variables = environ(fake_driver, tmp_path, {}) | {"PATH": "/nonexistent"}
    del variables["ENVCHECK_PYTHON"]
    command = [sys.executable, "-S", *arguments("--quick")[1:]]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  skip  gpu-pytorch: PyTorch is not installed in" in done.stdout


def test_without_a_gpu_it_is_exit_3_and_never_ok(tmp_path: Path) -> None:
    done = run("--full", **environ(tmp_path, tmp_path, {}))
    assert done.returncode == 3
    assert done.stdout.splitlines()[0].startswith("envcheck gpu: NO GPU")


@pytest.mark.parametrize("options", [("--quick", "--full"), ("--fast",), ("everything",)])
def test_wrong_usage_is_exit_2(options: tuple[str, ...], tmp_path: Path) -> None:
    assert run(*options, **environ(tmp_path, tmp_path, {})).returncode == 2


def test_ctrl_c_ends_the_programs_and_is_exit_130(fake_driver: Path, tmp_path: Path) -> None:
    variables = environ(fake_driver, tmp_path, {"hang": True, "one_gpu": {}}, FAKE_CUDA_COUNT="1")
    started = subprocess.Popen(arguments("--quick"), env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    pid_file = tmp_path / "reports.json.pid"
    wait_until(lambda: pid_file.exists() and pid_file.read_text(), "a program that hangs")
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=DEADLINE_SECONDS)
    assert started.returncode == 130
    # Reaped by its parent, so it cannot linger as a zombie.
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


def test_help_documents_every_proof(tmp_path: Path) -> None:
    text = run("--help", **environ(tmp_path, tmp_path, {})).stdout
    for check in ("gpu-kernel", "gpu-matmul-tf32", "gpu-convolution", "gpu-compile", "gpu-peer-copy", "gpu-all-reduce"):
        assert f"\n  {check} " in text
