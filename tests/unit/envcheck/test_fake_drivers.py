"""envcheck's own ctypes programs, run for real against fake driver libraries that gcc compiles (simulated driver)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envcheck.judge import examine
from envcheck.probes.cuda import probe_cuda
from envcheck.probes.hardware import probe_hardware
from envcheck.probes.nvml import probe_nvml
from tests.waiting import DEADLINE_SECONDS

REPOSITORY = Path(__file__).parents[3]
SYSTEM = Path("/")


def environ(library: Path, **changes: str) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": str(library), **changes}


def envcheck(root: Path, library: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user runs it, on an empty root."""
    variables = environ(library, ENVCHECK_ROOT=str(root), ENVCHECK_INTERPRETER=sys.executable, **changes)
    command = [str(REPOSITORY / "bin" / "envcheck"), *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=DEADLINE_SECONDS)


@pytest.mark.parametrize("code", [0, 3, 34, 35, 46, 100, 101, 214, 802, 803, 804, 805, 999])
def test_the_number_of_cuinit_arrives_with_the_librarys_real_path(fake_cuda: Path, code: int) -> None:
    facts = probe_cuda(SYSTEM, environ(fake_cuda, FAKE_CUDA_INIT=str(code)))
    assert (facts.loaded, facts.init_code, facts.crash) == (True, code, None)
    assert facts.path == str((fake_cuda / "libcuda.so.1").resolve())
    assert facts.driver_version == 12080


def test_devices_come_with_name_and_compute_capability(fake_cuda: Path) -> None:
    facts = probe_cuda(SYSTEM, environ(fake_cuda, FAKE_CUDA_COUNT="2", FAKE_CUDA_CAPABILITY="12.0"))
    assert [(item.index, item.name, item.capability) for item in facts.devices] == [
        (0, "Fake GPU 0", "12.0"),
        (1, "Fake GPU 1", "12.0"),
    ]


def test_a_library_that_hangs_is_killed_and_named(fake_cuda: Path) -> None:
    facts = probe_cuda(SYSTEM, environ(fake_cuda, FAKE_CUDA_HANG="1"), timeout=5)
    assert facts.crash is not None
    assert (facts.crash.stage, facts.crash.timed_out) == ("init", True)


def test_a_library_that_aborts_is_a_fact_with_its_signal(fake_cuda: Path) -> None:
    facts = probe_cuda(SYSTEM, environ(fake_cuda, FAKE_CUDA_ABORT="1"))
    assert facts.crash is not None
    assert (facts.crash.stage, facts.crash.signal, facts.init_code) == ("init", "SIGABRT", None)


def test_a_file_that_is_no_library_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_text("not a library")
    facts = probe_cuda(SYSTEM, environ(tmp_path))
    assert not facts.loaded
    assert facts.error is not None


def test_nvml_lists_uuid_name_memory_and_capability(fake_driver: Path) -> None:
    facts = probe_nvml(SYSTEM, environ(fake_driver, FAKE_NVML_COUNT="2"))
    first = facts.devices[0]
    assert (first.index, first.name, first.memory_total, first.compute_capability) == (0, "Fake GPU 0", 24 << 30, "8.9")
    assert [device.uuid[-1] for device in facts.devices] == ["0", "1"]
    assert (facts.driver_version, facts.cuda_version, first.mig, first.brand) == ("570.124.06", 12080, None, 5)
    assert facts.error is None


@pytest.mark.parametrize("code", [4, 9, 15, 17, 18, 999])
def test_nvml_codes_arrive_and_are_a_reason(fake_driver: Path, code: int) -> None:
    facts = probe_nvml(SYSTEM, environ(fake_driver, FAKE_NVML_INIT=str(code)))
    assert (facts.init_code, facts.devices) == (code, ())
    assert facts.error is not None and str(code) in facts.error


def test_nvml_that_aborts_is_a_reason(fake_driver: Path) -> None:
    facts = probe_nvml(SYSTEM, environ(fake_driver, FAKE_NVML_ABORT="1"))
    assert facts.error is not None and "SIGABRT" in facts.error


def test_a_lost_gpu_is_kept_by_its_code(fake_driver: Path) -> None:
    assert probe_nvml(SYSTEM, environ(fake_driver, FAKE_NVML_HANDLE="15")).device_codes == (15,)


@pytest.mark.parametrize(
    ("nvml", "cuda", "node", "cause"),
    [
        ({"FAKE_NVML_INIT": "9"}, "100", "nvidiactl", "driver-not-loaded"),
        ({"FAKE_NVML_HANDLE": "15"}, "999", "nvidiactl", "gpu-fallen-off-bus"),
        ({"FAKE_NVML_HANDLE": "15"}, "0", "nvidiactl", "gpu-fallen-off-bus"),
        ({"FAKE_NVML_INIT": "17"}, "100", "dxg", "wsl-driver-libs-missing"),
        ({"FAKE_NVML_INIT": "18"}, "803", "nvidiactl", "driver-library-mismatch"),
        ({"FAKE_NVML_INIT": "999"}, "999", "nvidiactl", "cuda-unknown-init"),
    ],
)
def test_an_nvml_code_leads_to_its_cause(
    nvml: dict[str, str], cuda: str, node: str, cause: str, fake_driver: Path, tmp_path: Path
) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / node).touch()
    report = examine(tmp_path, torch=False, environ=environ(fake_driver, FAKE_CUDA_INIT=cuda, **nvml))
    assert (report.verdict, report.root_cause) == ("fail", cause)


def test_a_loadable_libcuda_counts_as_a_card(fake_cuda: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    assert not probe_hardware(tmp_path).present
    monkeypatch.setenv("LD_LIBRARY_PATH", str(fake_cuda))
    seen = probe_hardware(tmp_path)
    assert seen.present
    assert any("libcuda.so.1 loads" in line for line in seen.evidence)


def test_803_without_a_card_on_the_bus_is_the_root_cause(fake_cuda: Path, tmp_path: Path) -> None:
    done = envcheck(
        tmp_path, fake_cuda, "--json", "--skip", "torch", "--skip", "cudnn", "--skip", "nccl", FAKE_CUDA_INIT="803"
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"], report["root_cause"]) == (1, "fail", "cuda-compat-mismatch")
    assert report["findings"][0]["fix"][0] == "unset LD_LIBRARY_PATH"


def test_803_inside_a_container_that_was_asked_for_the_cpu_is_the_root_cause(fake_cuda: Path, tmp_path: Path) -> None:
    (tmp_path / "run/gpu-launcher").mkdir(parents=True)
    (tmp_path / "run/gpu-launcher/request.json").write_text('{"device": "cpu", "gpus": [], "reason": "none here"}')
    (tmp_path / ".dockerenv").touch()
    report = examine(tmp_path, torch=False, environ=environ(fake_cuda, FAKE_CUDA_INIT="803"))
    assert (report.verdict, report.root_cause) == ("fail", "cuda-compat-mismatch")
    # The same library seeing no device is what a container for the CPU should see.
    report = examine(tmp_path, torch=False, environ=environ(fake_cuda, FAKE_CUDA_INIT="100"))
    assert report.root_cause is None and report.verdict != "ok"


def test_gpu_kernel_only_runs_a_kernel_on_every_device(fake_driver: Path, tmp_path: Path) -> None:
    done = envcheck(tmp_path, fake_driver, "gpu", "--kernel-only", "--json", FAKE_CUDA_COUNT="2")
    report = json.loads(done.stdout)
    assert set(report) == {"schema_version", "verdict", "root_cause", "gpus", "findings"}
    assert (done.returncode, report["verdict"], report["root_cause"]) == (0, "ok", None)
    assert [set(gpu) for gpu in report["gpus"]] == [{"index", "uuid", "name"}] * 2
    assert report["gpus"][1]["uuid"] == "GPU-11111111-1111-1111-1111-111111111111"
    assert [finding["check"] for finding in report["findings"]] == ["gpu-kernel"] * 2


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"FAKE_CUDA_WRONG": "1"}, None),
        ({"FAKE_CUDA_LAUNCH": "209"}, "arch-unsupported"),
        ({"FAKE_CUDA_LAUNCH": "214"}, "gpu-memory-ecc"),
        ({"FAKE_CUDA_INIT": "802"}, "cuda-fabric-manager"),
        ({"FAKE_CUDA_ABORT": "1"}, "cuda-unknown-init"),
        ({"FAKE_NVML_DRIVER": "470.82.01"}, "driver-too-old"),
    ],
)
def test_gpu_kernel_only_fails_with_the_cause(
    fake_driver: Path, tmp_path: Path, changes: dict[str, str], cause: str | None
) -> None:
    done = envcheck(tmp_path, fake_driver, "gpu", "--kernel-only", "--json", **changes)
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"], report["root_cause"]) == (1, "fail", cause)


def test_gpu_kernel_only_without_a_gpu_is_exit_3(tmp_path: Path) -> None:
    done = envcheck(tmp_path, tmp_path, "gpu", "--kernel-only", "--json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (3, "no-gpu")


def test_no_internet_socket_is_opened_by_envcheck_or_its_children(
    fake_driver: Path, socket_watch: Path, tmp_path: Path
) -> None:
    log = tmp_path / "sockets"
    watched = {"LD_PRELOAD": str(socket_watch), "SOCKET_WATCH_LOG": str(log)}
    proof = subprocess.run(
        [sys.executable, "-c", "import socket; socket.socket()"], env={**os.environ, **watched}, capture_output=True
    )
    assert proof.returncode != 0 and log.read_text() == "socket\n", "the watch itself must work"
    log.unlink()
    for arguments in ((), ("--json",), ("gpu", "--kernel-only"), ("record",), ("list",)):
        envcheck(tmp_path, fake_driver, *arguments, **watched)
    assert not log.exists()
