# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""Device, precision and threads: never the CPU silently. Machines are made up: facts, or files below a root."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from cifar10.device import DeviceFacts, choose_device, choose_precision, cuda_precision, probe_device
from cifar10.errors import DeviceError, UsageError
from cifar10.limits import thread_count

DEAD = "Error 803: system has unsupported display driver / cuda driver combination"


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA fails as on a machine with mismatched driver libraries (simulated)."""
    monkeypatch.setattr("cifar10.device._cuda_problem", lambda: DEAD)


@pytest.mark.parametrize(
    ("asked", "facts", "device", "words"),
    [
        ("auto", DeviceFacts(None), "cuda", "CUDA"),
        ("auto", DeviceFacts(None, request="cpu"), "cuda", "CUDA"),
        ("cuda", DeviceFacts(None), "cuda", "CUDA"),
        ("cpu", DeviceFacts(None, ("/dev/nvidiactl",), "gpu"), "cpu", "as asked"),
        ("auto", DeviceFacts(DEAD), "cpu", DEAD),
        # /proc/driver/nvidia of the host shows in every container: the launcher's record decides.
        ("auto", DeviceFacts(DEAD, ("/proc/driver/nvidia",), "cpu", "--gpus none"), "cpu", "--gpus none"),
    ],
)
def test_device_and_its_reason(asked: str, facts: DeviceFacts, device: str, words: str) -> None:
    kind, reason = choose_device(asked, facts)
    assert kind == device
    assert words in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("asked", "facts", "words"),
    [
        ("cuda", DeviceFacts(DEAD), DEAD),
        ("cuda", DeviceFacts(DEAD, request="cpu"), DEAD),
        ("auto", DeviceFacts(DEAD, ("/dev/nvidiactl",)), "/dev/nvidiactl"),
        ("auto", DeviceFacts(DEAD, ("/dev/dxg",)), DEAD),
        ("auto", DeviceFacts(DEAD, request="gpu"), "launcher"),
    ],
)
def test_broken_gpu_is_never_the_cpu_silently(asked: str, facts: DeviceFacts, words: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose_device(asked, facts)
    assert words in caught.value.cause
    assert "envcheck" in caught.value.next_step
    assert caught.value.code == 3


def test_probe_reads_driver_files_and_the_request(tmp_path: Path, no_cuda: None) -> None:
    assert probe_device(tmp_path) == DeviceFacts(DEAD)
    for name in ("dev/nvidiactl", "run/gpu-launcher/request.json"):
        (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / "dev/nvidiactl").touch()
    request = {"schema_version": 1, "device": "gpu", "gpus": ["0"], "reason": "auto"}
    (tmp_path / "run/gpu-launcher/request.json").write_text(json.dumps(request))
    assert probe_device(tmp_path) == DeviceFacts(DEAD, ("/dev/nvidiactl",), "gpu", "auto")
    (tmp_path / "run/gpu-launcher/request.json").write_text("{broken")
    assert probe_device(tmp_path) == DeviceFacts(DEAD, ("/dev/nvidiactl",))


def test_torchs_own_reason_is_one_line_without_its_advice() -> None:
    if torch.cuda.is_available():
        pytest.skip("CUDA works here")
    problem = probe_device(Path("/")).cuda_problem
    assert problem
    assert "Please" not in problem
    assert "\n" not in problem


def test_command_line_with_device_cuda_but_no_cuda(cli: Callable, no_cuda: None, npz: Path) -> None:
    cli("train", "--data", npz, "--device", "cuda", "--out", "run").assert_failed(3, "803", "envcheck")
    assert not Path("run").exists()


def test_command_line_with_a_card_but_no_cuda(cli: Callable, no_cuda: None, npz: Path) -> None:
    (Path(os.environ["ENVCHECK_ROOT"]) / "proc/driver/nvidia").mkdir(parents=True)
    cli("train", "--data", npz, "--out", "run").assert_failed(3, "/proc/driver/nvidia", "803", "--device cpu")


def test_first_line_says_cpu_and_why(cli: Callable, no_cuda: None, npz: Path) -> None:
    outcome = cli("train", "--data", npz, "--epochs", "1", "--out", "run")
    first = outcome.stderr.splitlines()[0]
    assert first.startswith("device: CPU, because no NVIDIA GPU")
    assert "803" in first
    assert outcome.result["device"] == "cpu"


def test_precision() -> None:
    assert cuda_precision((9, 0)) == cuda_precision((8, 0)) == torch.bfloat16
    assert cuda_precision((7, 5)) == cuda_precision((7, 0)) == torch.float16
    assert cuda_precision((6, 1)) == torch.float32
    cpu = torch.device("cpu")
    assert choose_precision("float32", cpu) == torch.float32
    assert choose_precision("auto", cpu) in (torch.bfloat16, torch.float32)
    with pytest.raises(UsageError, match="CUDA only"):
        choose_precision("float16", cpu)


def test_cpu_without_bfloat16_instructions_uses_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert choose_precision("auto", torch.device("cpu")) == torch.float32


@pytest.mark.parametrize(
    ("files", "environ", "ranks", "expected"),
    [
        ({}, {}, 1, 8),
        ({}, {}, 2, 4),
        ({}, {}, 16, 1),
        ({}, {"OMP_NUM_THREADS": "3"}, 2, 3),
        ({}, {"OMP_NUM_THREADS": "nonsense"}, 1, 8),
        ({"sys/fs/cgroup/cpu.max": "200000 100000"}, {}, 1, 2),
        ({"sys/fs/cgroup/cpu.max": "250000 100000"}, {}, 1, 2),
        ({"sys/fs/cgroup/cpu.max": "50000 100000"}, {}, 1, 1),
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, {}, 1, 8),
        ({"sys/fs/cgroup/cpu.max": "1600000 100000"}, {}, 1, 8),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "300000 100000"}, {}, 1, 3),
        (
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            {},
            2,
            2,
        ),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, {}, 1, 8),
    ],
)
def test_threads_follow_affinity_and_quota(
    files: dict[str, str],
    environ: dict[str, str],
    ranks: int,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eight CPUs of affinity and the control group files are simulated."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert thread_count(environ, ranks, tmp_path) == expected
