# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""Device, precision and threads: never the CPU silently. Machines are made up: facts, or files below a root."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from cifar10 import device
from cifar10.device import choose_device, choose_precision, cuda_problem, start
from cifar10.errors import DeviceError, UsageError

from envcheck.presence import Presence

DEAD = "Error 803: system has unsupported display driver / cuda driver combination"


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA fails as on a machine with mismatched driver libraries (simulated)."""
    monkeypatch.setattr("cifar10.device.cuda_problem", lambda _: DEAD)


ABSENT, CARD = Presence(False, "no NVIDIA card was found"), Presence(True, "/dev/nvidiactl exists")


@pytest.mark.parametrize(
    ("asked", "problem", "here", "kind", "words"),
    [
        ("auto", None, CARD, "cuda", "CUDA, "),
        ("auto", None, ABSENT, "cuda", "CUDA, "),
        ("cuda", None, CARD, "cuda", "CUDA, "),
        ("cpu", DEAD, CARD, "cpu", "as asked"),
        ("auto", DEAD, ABSENT, "cpu", DEAD),
        ("auto", DEAD, ABSENT, "cpu", "no NVIDIA card was found"),
    ],
)
def test_device_and_its_reason(
    asked: str, problem: str | None, here: Presence, kind: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    chosen, reason = choose_device(asked, problem, here)
    assert chosen == kind
    assert words in reason
    assert "\n" not in reason


@pytest.mark.parametrize(("asked", "here", "words"), [("cuda", ABSENT, DEAD), ("auto", CARD, "/dev/nvidiactl")])
def test_broken_gpu_is_never_the_cpu_silently(asked: str, here: Presence, words: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose_device(asked, DEAD, here)
    assert words in caught.value.cause and DEAD in caught.value.cause
    assert "envcheck" in caught.value.next_step
    assert caught.value.code == 3


GPU, NONE = {"device": "gpu", "gpus": ["0"], "reason": "auto"}, {"device": "cpu", "gpus": [], "reason": "--gpus none"}


@pytest.mark.parametrize(
    ("files", "request_", "words"),
    [
        ((), None, None),
        (("dev/nvidiactl",), None, "/dev/nvidiactl exists"),
        (("dev/dxg",), None, "/dev/dxg exists"),
        (("proc/driver/nvidia",), None, "/proc/driver/nvidia exists"),
        ((), GPU, "started for GPUs: auto"),
        # /proc/driver/nvidia of the host shows in every container: the launcher's record decides.
        (("proc/driver/nvidia",), NONE, None),
        (("dev/nvidiactl",), "{broken", "/dev/nvidiactl exists"),
    ],
)
def test_a_gpu_belongs_here_where_files_or_the_launcher_say_so(
    files: tuple[str, ...], request_: Any, words: str | None, no_cuda: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """envcheck's rule, on a machine below ENVCHECK_ROOT."""
    root = Path(os.environ["ENVCHECK_ROOT"])
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    if request_:
        (root / "run/gpu-launcher").mkdir(parents=True)
        text = request_ if isinstance(request_, str) else json.dumps(request_)
        (root / "run/gpu-launcher/request.json").write_text(text)
    if words is None:
        assert start("auto").device.type == "cpu"
        assert DEAD in capsys.readouterr().err
        return
    with pytest.raises(DeviceError) as caught:
        start("auto")
    assert words in caught.value.cause


def test_torchs_own_reason_is_one_line_without_its_advice() -> None:
    if torch.cuda.is_available():
        pytest.skip("CUDA works here")
    problem = cuda_problem()
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
    assert first.startswith("device: CPU, because no NVIDIA card was found")
    assert "803" in first
    assert outcome.result["device"] == "cpu"


@pytest.mark.parametrize(
    ("capability", "precision"),
    [
        ((9, 0), torch.bfloat16),
        ((8, 0), torch.bfloat16),
        ((7, 5), torch.float16),
        ((7, 0), torch.float16),
        ((6, 1), torch.float32),
    ],
)
def test_precision_of_a_card(
    capability: tuple[int, int], precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert choose_precision("auto", torch.device("cuda")) == precision


def test_precision_of_a_cpu() -> None:
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
    ("cpus", "asked", "ranks", "expected"),
    [(8, "", 1, 8), (8, "", 2, 4), (8, "", 16, 1), (8, "3", 2, 3), (8, "10", 1, 10), (8, "nonsense", 1, 8)],
)
def test_threads_are_a_ranks_share_of_the_cpus_or_as_asked(
    cpus: int, asked: str, ranks: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What joblib finds (affinity and CPU quota) is simulated."""
    monkeypatch.setattr(device, "cpu_count", lambda: cpus)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    for name, value in (("RANK", 0), ("WORLD_SIZE", ranks), ("LOCAL_WORLD_SIZE", ranks)):
        monkeypatch.setenv(name, str(value))
    set_to: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    start("cpu")
    assert set_to == [expected]
