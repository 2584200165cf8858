"""envcheck over the real PyTorch wheel. Drivers are simulated by fake libraries; the rest is what is installed.

Needs a Python with torch: the one that runs pytest, or the one named by ENVCHECK_PYTHON.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.torch.envcheck.wheel import PYTHON, SOURCES, by_check, compile_library, envcheck, needs_torch

pytestmark = needs_torch


def test_without_a_card_versions_are_reported_and_nms_and_a_two_rank_all_reduce_really_ran(tmp_path: Path) -> None:
    code, report = envcheck(tmp_path)
    assert (code, report["verdict"], report["root_cause"]) == (0, "no-gpu", None)
    program = (
        "import json, torch, torchvision; print(json.dumps([torch.__version__, torch.version.cuda,"
        "torchvision.__version__.split('+')[0], torch.backends.cudnn.version(),"
        "'.'.join(map(str, torch.cuda.nccl.version()))]))"
    )
    told = json.loads(subprocess.run([str(PYTHON), "-c", program], capture_output=True, text=True, check=True).stdout)
    names = ("torch", "torch_cuda", "torchvision", "cudnn", "nccl")
    assert [str(report["versions"][name]).split("+cu1")[0] for name in names] == [str(v).split("+cu1")[0] for v in told]
    findings = by_check(report)
    for check in ("torch-build", "torchvision-pair", "torchvision-nms", "cudnn", "nccl-version", "all-reduce"):
        assert findings[check]["status"] == "ok", findings[check]
    assert findings["torchvision-nms"]["evidence"] == ["kept boxes [0, 2] of 3"]
    assert findings["all-reduce"]["evidence"][0].startswith("gloo, 2 ranks: sum 3.0, expected 3.0")


def test_803_is_the_root_cause_and_pytorch_is_still_looked_at(tmp_path: Path) -> None:
    library = compile_library(tmp_path / "compat", "libcuda.so.1", SOURCES / "libcuda.c")
    code, report = envcheck(tmp_path / "root", LD_LIBRARY_PATH=str(library), FAKE_CUDA_INIT="803")
    assert (code, report["verdict"], report["root_cause"]) == (1, "fail", "cuda-compat-mismatch")
    assert report["findings"][0]["check"] == "cuda-init"
    assert by_check(report)["torchvision-nms"]["status"] == "ok"


def test_a_driver_below_the_wheels_floor_is_too_old(tmp_path: Path) -> None:
    library = compile_library(tmp_path / "old", "libcuda.so.1", SOURCES / "libcuda.c")
    code, report = envcheck(tmp_path / "root", LD_LIBRARY_PATH=str(library), FAKE_CUDA_VERSION="11080")
    assert (code, report["root_cause"]) == (1, "driver-too-old")
    assert any("too old" in line for line in by_check(report)["torch-cuda"]["evidence"])


def test_a_shadowed_cudnn_aborts_only_its_child_and_is_named(tmp_path: Path) -> None:
    decoy = compile_library(tmp_path / "system", "libcudnn_graph.so.9", "int decoy;\n")
    code, report = envcheck(tmp_path / "root", LD_LIBRARY_PATH=str(decoy))
    assert (code, report["root_cause"]) == (1, "cudnn-shadowed")
    findings = by_check(report)
    assert any(str(decoy) in line for line in findings["cudnn"]["evidence"])
    assert findings["all-reduce"]["status"] == "ok"
    assert report["versions"]["torch"] is not None


def test_a_libcuda_in_the_working_directory_is_found_out(tmp_path: Path) -> None:
    place = compile_library(tmp_path / "work", "libcuda.so.1", SOURCES / "libcuda.c")
    code, report = envcheck(tmp_path / "root", cwd=place)
    finding = by_check(report)["library-origin"]
    assert (code, finding["cause"]) == (1, "library-shadowed"), finding


def test_a_torch_in_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('imported from the working directory')")
    code, report = envcheck(tmp_path / "root", "--only", "torch", cwd=tmp_path)
    assert (code, by_check(report)["torch-build"]["status"]) == (0, "ok")


def test_no_connection_leaves_this_machine(tmp_path: Path) -> None:
    """The all-reduce of two ranks talks over loopback; nothing goes further."""
    library = compile_library(tmp_path / "watch", "libsocketwatch.so", SOURCES / "libsocketwatch.c")
    log = tmp_path / "connections"
    watched = {
        "LD_PRELOAD": str(library / "libsocketwatch.so"),
        "SOCKET_WATCH_LOG": str(log),
        "SOCKET_WATCH_LOOPBACK": "1",
    }
    _, report = envcheck(tmp_path / "root", cwd=tmp_path, **watched)
    assert by_check(report)["all-reduce"]["status"] == "ok"
    assert not log.exists()
