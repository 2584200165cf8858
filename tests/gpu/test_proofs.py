"""Every proof on the real GPUs of this machine.

ENVCHECK_GPU_RECORD names a file to write what was seen and measured to, as JSON without identities. It is what
tests/facts and the figures in the documentation are made from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from envcheck import __version__
from envcheck.codec import encode
from envcheck.collect import collect
from envcheck.facts import Facts
from envcheck.gputests.proofs import PROOFS
from envcheck.redact import redact

ROOT = Path(__file__).parents[2]
RECORD = "ENVCHECK_GPU_RECORD"
# Proofs that concern all GPUs at once, or none where there is only one.
TOGETHER = {"gpu-all-reduce"}


@dataclass(frozen=True)
class Run:
    """How one `envcheck gpu --json` ended, and how long it took."""

    code: int
    seconds: float
    report: dict[str, Any]
    stderr: str

    def statuses(self, check: str) -> list[str]:
        return [finding["status"] for finding in self.report["findings"] if finding["check"] == check]

    def recorded(self) -> dict[str, Any]:
        gpus = [{**gpu, "uuid": f"GPU-redacted-{gpu['index']}"} for gpu in self.report["gpus"]]
        return {"seconds": round(self.seconds, 1), "exit_code": self.code, "report": {**self.report, "gpus": gpus}}


def envcheck_gpu(*options: str, **environ: str) -> Run:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(ROOT / "envcheck/__main__.py"), "gpu", "--json", *options],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.stdout, done.stderr
    return Run(done.returncode, time.monotonic() - started, json.loads(done.stdout), done.stderr)


@pytest.fixture(scope="module")
def runs(gpu: Facts, python_with_torch: str) -> dict[str, Run]:
    """Every level once; recorded where that is asked for, also when something failed."""
    environ = {"ENVCHECK_PYTHON": python_with_torch}
    levels = {"quick": ("--quick",), "standard": (), "full": ("--full",)}
    found = {name: envcheck_gpu(*options, **environ) for name, options in levels.items()}
    if path := os.environ.get(RECORD):
        facts = encode(redact(collect(Path("/"), environ={**os.environ, **environ}), Path.home()))
        recorded = {name: run.recorded() for name, run in found.items()}
        origin = "recorded on a real machine by tests/gpu/test_proofs.py"
        document = {"origin": origin, "envcheck": __version__, "facts": facts, "runs": recorded}
        Path(path).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return found


@pytest.mark.parametrize("level", ["quick", "standard", "full"])
def test_no_proof_fails(runs: dict[str, Run], level: str) -> None:
    run = runs[level]
    failed = [finding for finding in run.report["findings"] if finding["status"] == "fail"]
    assert (run.code, failed) == (0, []), run.stderr


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.check)
def test_full_tries_every_proof_on_every_gpu(gpu: Facts, runs: dict[str, Run], proof: Any) -> None:
    statuses = runs["full"].statuses(proof.check)
    assert len(statuses) == (1 if proof.check in TOGETHER else gpu.cuda.device_count)
    # Skipped is allowed, but never silently: the reason is in the record.
    assert set(statuses) <= {"ok", "skip", "warn"}


@pytest.mark.parametrize("check", ["gpu-kernel", "gpu-pytorch", "gpu-matmul", "gpu-convolution", "gpu-copy"])
def test_what_every_card_can_do_is_really_proven(runs: dict[str, Run], check: str) -> None:
    for run in runs.values():
        assert set(run.statuses(check)) == {"ok"}


def test_the_kernels_gpus_are_those_of_the_driver(gpu: Facts) -> None:
    run = envcheck_gpu("--kernel-only")
    assert run.code == 0 and run.stderr == ""
    if "CUDA_VISIBLE_DEVICES" not in os.environ and not any(device.mig for device in gpu.nvml.devices):
        assert {item["uuid"] for item in run.report["gpus"]} == {device.uuid for device in gpu.nvml.devices}


def test_a_gpu_that_is_hidden_is_named_and_nothing_is_called_ok(gpu: Facts) -> None:
    run = envcheck_gpu("--quick", CUDA_VISIBLE_DEVICES="")
    assert (run.code, run.report["verdict"], run.report["root_cause"]) == (1, "fail", "cuda-devices-masked")
    assert run.report["gpus"] == []
