"""The proofs that need PyTorch, step by step: every GPU by itself, the copies, the all-reduce."""

from __future__ import annotations

from collections.abc import Mapping
from tempfile import TemporaryDirectory

from envcheck.checks.answer import skip
from envcheck.finding import Finding, Status
from envcheck.gputests.judge import Gpu, gpu_findings
from envcheck.gputests.judge_load import load_findings
from envcheck.gputests.judge_transfers import all_reduce_finding, transfer_findings
from envcheck.gputests.levels import LEVELS
from envcheck.gputests.plan import collective_program, gpu_program, program_environment, transfer_program
from envcheck.gputests.steps import Steps
from envcheck.probes.torch import find_python


def prove_with_torch(environ: Mapping[str, str], level: str, steps: Steps, gpus: tuple[Gpu, ...], visible: int) -> None:
    """Prove `gpus`, those of the `visible` ones on which a kernel ran."""
    python, searched = find_python(environ)
    if python is None:
        reason = f"PyTorch is not installed in {', '.join(searched)} (ENVCHECK_PYTHON names another Python)"
        steps.findings.append(skip("gpu-pytorch", reason))
        return
    with TemporaryDirectory(prefix="envcheck-") as cache:
        steps.environ = program_environment(environ, cache)
        reached = _alone(python, level, steps, gpus)
        if reached:
            copies = steps.run(f"copying to and from {_named(reached)}", transfer_program(python, reached, level))
            steps.findings += transfer_findings(reached, copies[0])
        if reached and LEVELS[level].all_reduce:
            steps.findings.append(_all_reduce(python, level, steps, reached, visible))


def _alone(python: str, level: str, steps: Steps, gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """All GPUs at once; those that PyTorch reached."""
    stages, reached = LEVELS[level].stages, []
    programs = [gpu_program(python, gpu, level, len(gpus)) for gpu in gpus]
    for gpu, outcome in zip(gpus, steps.run(f"proving {_named(gpus)} with PyTorch", *programs), strict=True):
        found = gpu_findings(gpu, stages, outcome)
        steps.findings += found
        if found[0].status is Status.OK:
            reached.append(gpu)
            steps.findings += load_findings(gpu, outcome) if "load" in stages else []
    return tuple(reached)


def _all_reduce(python: str, level: str, steps: Steps, gpus: tuple[Gpu, ...], visible: int) -> Finding:
    if len(gpus) < visible:
        # Ranks are numbered as the GPUs are: one that is missing cannot be left out.
        return skip("gpu-all-reduce", "NCCL all-reduce: not tried, because not every GPU works")
    return all_reduce_finding(steps.run(f"all-reduce over {_named(gpus)}", collective_program(python, gpus, level))[0])


def _named(gpus: tuple[Gpu, ...]) -> str:
    return f"{len(gpus)} GPU{'s' if len(gpus) != 1 else ''}"
