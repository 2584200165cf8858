"""Runs the proofs: a kernel on every GPU, then PyTorch on those where it ran, the copies, and the all-reduce."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envcheck.checks.answer import fail
from envcheck.collect import collect, system_root
from envcheck.facts import Facts
from envcheck.finding import Finding, Status
from envcheck.gputests.judge import Gpu, gpu_findings, gpus_of, kernel_findings
from envcheck.gputests.judge_load import load_findings
from envcheck.gputests.judge_transfers import all_reduce_finding, transfer_findings
from envcheck.gputests.levels import LEVELS
from envcheck.gputests.plan import (
    collective_program,
    gpu_program,
    kernel_program,
    program_environment,
    transfer_program,
)
from envcheck.gputests.progress import Progress
from envcheck.gputests.runner import Outcome, Program, run_programs
from envcheck.judge import judge
from envcheck.presence import presence
from envcheck.probes.torch import find_python

# What a program on the GPU stands on. PyTorch itself is not imported for it: its architectures come from the image.
LAYERS = ("driver", "container", "cuda", "torch")


@dataclass(slots=True)
class Proven:
    """GPUs in CUDA's order, every finding, and by program what its stages reported."""

    verdict: str = "ok"
    gpus: tuple[Gpu, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    figures: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def judge(self) -> None:
        """Set the verdict: ok, warn or fail."""
        statuses = {finding.status for finding in self.findings}
        self.verdict = "fail" if Status.FAIL in statuses else "warn" if Status.WARN in statuses else "ok"


def prove(environ: Mapping[str, str], level: str, progress: Progress) -> Proven:
    """Look at the machine, then prove at `level` what there is."""
    facts = collect(system_root(environ), torch=False, environ=environ)
    expected = presence(facts)
    if not expected.expected:
        return Proven("no-gpu", (), [Finding("gpu-kernel", Status.SKIP, expected.reason)])
    proven = Proven(findings=_broken(facts))
    if facts.cuda.device_count:
        prove_gpus(environ, level, progress, facts.cuda.device_count, proven)
    elif not proven.findings:
        nothing = fail("gpu-kernel", None, "a GPU is expected here, but CUDA sees none", [expected.reason])
        proven.findings.append(nothing)
    proven.judge()
    return proven


def _broken(facts: Facts) -> list[Finding]:
    return [finding for finding in judge(facts, only=LAYERS).findings if finding.status is Status.FAIL]


def prove_gpus(environ: Mapping[str, str], level: str, progress: Progress, count: int, proven: Proven) -> None:
    """Add to `proven` what `count` GPUs show."""
    with tempfile.TemporaryDirectory(prefix="envcheck-") as cache:
        runner = _Steps(program_environment(environ, cache), progress, proven)
        # The launcher waits for this one: it stays silent on a pipe.
        kernel = runner.run(None, kernel_program(count))[0]
        proven.gpus = gpus_of(kernel)
        proven.findings += kernel_findings(kernel)
        working = tuple(gpu for gpu in proven.gpus if kernel.stages.get(f"run {gpu.index}", {}).get("wrong") == 0)
        if LEVELS[level].stages and working:
            _with_torch(runner, environ, level, working)
    progress.close()


class _Steps:
    """Runs programs one group after the other, and keeps what they reported."""

    def __init__(self, environ: Mapping[str, str], progress: Progress, proven: Proven) -> None:
        self.proven = proven
        self._environ, self._progress = environ, progress

    def run(self, step: str | None, *programs: Program) -> list[Outcome]:
        if step is not None:
            self._progress.step(step)
        outcomes = run_programs(programs, self._environ, self._progress.stage)
        for program, outcome in zip(programs, outcomes, strict=True):
            self.proven.figures[program.name] = outcome.stages
        return outcomes


def _with_torch(steps: _Steps, environ: Mapping[str, str], level: str, gpus: tuple[Gpu, ...]) -> None:
    python, searched = find_python(environ)
    findings = steps.proven.findings
    if python is None:
        findings.append(Finding("gpu-pytorch", Status.SKIP, f"PyTorch is not installed in {', '.join(searched)}"))
        return
    chosen = LEVELS[level]
    alone = [gpu_program(python, gpu, level, len(gpus)) for gpu in gpus]
    reached = []
    for gpu, outcome in zip(gpus, steps.run(f"proving {_named(gpus)} with PyTorch", *alone), strict=True):
        found = gpu_findings(gpu, chosen.stages, outcome)
        findings += found
        if found[0].status is Status.OK:
            reached.append(gpu)
            if "load" in chosen.stages:
                findings += load_findings(gpu, outcome)
    usable = tuple(reached)
    if not usable:
        return
    copies = steps.run(f"copying to, from and between {_named(usable)}", transfer_program(python, usable, level))[0]
    findings += transfer_findings(usable, copies)
    if chosen.all_reduce:
        # The ranks are numbered as the GPUs are: one that is missing cannot be left out.
        if len(usable) < len(steps.proven.gpus):
            reason = "NCCL all-reduce: not tried, because not every GPU works"
            findings.append(Finding("gpu-all-reduce", Status.SKIP, reason))
            return
        reduced = steps.run(f"all-reduce over {_named(usable)}", collective_program(python, usable, level))[0]
        findings.append(all_reduce_finding(reduced))


def _named(gpus: tuple[Gpu, ...]) -> str:
    return f"{len(gpus)} GPU{'s' if len(gpus) != 1 else ''}"
