"""Runs the proofs: a kernel on every GPU, then what needs PyTorch on those where it ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envcheck.checks.answer import fail, skip
from envcheck.collect import collect, system_root
from envcheck.facts import Facts
from envcheck.finding import Finding, Status
from envcheck.fixes import adapt
from envcheck.gputests.judge import KERNEL, Gpu, gpus_of, kernel_findings
from envcheck.gputests.levels import LEVELS
from envcheck.gputests.plan import kernel_program
from envcheck.gputests.progress import Progress
from envcheck.gputests.steps import Steps
from envcheck.judge import judge
from envcheck.presence import presence

# What a program on the GPU stands on. PyTorch itself is not imported for it: its architectures come from the image.
LAYERS = ("driver", "container", "cuda", "torch")


@dataclass(frozen=True, slots=True)
class Proven:
    """`verdict` is ok, warn, fail or no-gpu; GPUs in CUDA's order; `figures` by program what its stages reported."""

    verdict: str
    gpus: tuple[Gpu, ...]
    findings: tuple[Finding, ...]
    figures: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


def prove(environ: Mapping[str, str], level: str, progress: Progress) -> Proven:
    """Look at the machine, then prove at `level` what there is."""
    facts = collect(system_root(environ), torch=False, environ=environ)
    expected = presence(facts)
    if not expected.expected:
        return Proven("no-gpu", (), (skip(KERNEL, expected.reason),))
    steps = Steps(environ, progress, findings=_broken(facts))
    gpus: tuple[Gpu, ...] = ()
    if facts.cuda.device_count:
        gpus = _prove_gpus(environ, level, steps, facts.cuda.device_count)
    elif not steps.findings:
        nothing = fail(KERNEL, None, "a GPU is expected here, but CUDA sees none", [expected.reason])
        steps.findings.append(nothing)
    return Proven(
        verdict(steps), gpus, tuple(adapt(item, facts.distribution) for item in steps.findings), steps.figures
    )


def verdict(steps: Steps) -> str:
    """fail, warn or ok, by the worst finding. Never ok by lack of evidence: then a finding that says so is added."""
    statuses = {finding.status for finding in steps.findings}
    if steps.unreported and Status.FAIL not in statuses:
        steps.findings.append(fail(KERNEL, None, "not every proof came to its end", steps.unreported))
        return "fail"
    return "fail" if Status.FAIL in statuses else "warn" if Status.WARN in statuses else "ok"


def _broken(facts: Facts) -> list[Finding]:
    return [finding for finding in judge(facts, only=LAYERS).findings if finding.status is Status.FAIL]


def _prove_gpus(environ: Mapping[str, str], level: str, steps: Steps, count: int) -> tuple[Gpu, ...]:
    # The launcher waits for this one, and it takes a second: it stays silent on a pipe.
    kernel = steps.run(None, kernel_program(count))[0]
    steps.findings += kernel_findings(kernel)
    gpus = gpus_of(kernel)
    working = tuple(gpu for gpu in gpus if kernel.stages.get(f"run {gpu.index}", {}).get("wrong") == 0)
    if LEVELS[level].stages and working:
        # Imported here, for the launcher's sake.
        from envcheck.gputests.prove_torch import prove_with_torch

        prove_with_torch(environ, level, steps, working, count)
    return gpus
