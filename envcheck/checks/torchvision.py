"""torchvision: does it belong to this torch, and does its compiled operator run."""

from __future__ import annotations

from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.checks.crashes import crash_in, crash_lines
from envcheck.checks.torch import imported
from envcheck.compat import version_key
from envcheck.facts import Facts, Torch, Torchvision
from envcheck.finding import Finding

CAUSE = "torchvision-mismatch"
KEPT = (0, 2)


def _installed(facts: Facts) -> tuple[Torch, Torchvision] | str:
    """Both packages, else why there is nothing to compare."""
    torch = imported(facts)
    if isinstance(torch, str):
        return torch
    if torch.torchvision is not None:
        return torch, torch.torchvision
    crashed = crash_in(torch, "torchvision") is not None
    return "torchvision crashed; see torchvision-nms" if crashed else "torchvision is not installed"


def torchvision_pair(facts: Facts) -> Finding:
    """What it checks: the torch version torchvision's metadata pins, and the CUDA version it was built for.
    Why it matters: its compiled operators load only with the torch they were built for.
    How to fix: install both in one command from one index.
    Reference: https://github.com/pytorch/vision#installation
    """
    check, both = "torchvision-pair", _installed(facts)
    if isinstance(both, str):
        return skip(check, both)
    torch, seen = both
    evidence = [f"torch {torch.version}, CUDA {torch.cuda}", f"torchvision {seen.version}, CUDA {seen.cuda_version}"]
    if seen.requires_torch is not None and _release(seen.requires_torch) != _release(torch.version):
        summary = f"torchvision {seen.version} is made for torch {seen.requires_torch}, not {torch.version}"
        return (warn if seen.nms == KEPT else fail)(check, CAUSE, summary, evidence)
    if seen.cuda_version is not None and _cuda_major(seen.cuda_version) != _torch_major(torch.cuda):
        return fail(check, CAUSE, "torch and torchvision are built for different CUDA versions", evidence)
    return ok(check, f"torchvision {seen.version} belongs to it", evidence)


def _release(version: str | None) -> tuple[int, ...]:
    """ "2.9.0a0+git123" and "2.9.0.post303" as (2, 9, 0): builds of others number themselves in their own way."""
    return version_key((version or "").split("+")[0])[:3]


def _cuda_major(number: int) -> int | None:
    """12080 as 12; torchvision's CPU build reports -1."""
    return number // 1000 if number > 0 else None


def _torch_major(cuda: str | None) -> int | None:
    return int(cuda.split(".")[0]) if cuda else None


def torchvision_nms(facts: Facts) -> Finding:
    """What it checks: that torchvision::nms, run on three boxes on the CPU, keeps the two it must keep.
    Why it matters: "operator torchvision::nms does not exist" is how a mismatched pair shows itself.
    How to fix: install torch and torchvision in one command from one index.
    Reference: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.nms.html
    """
    check, torch = "torchvision-nms", facts.torch
    crash = crash_in(torch, "torchvision") if torch is not None else None
    if crash is not None:
        return fail(check, CAUSE, "torchvision's operators crash", crash_lines(crash))
    both = _installed(facts)
    if isinstance(both, str):
        return skip(check, both)
    seen = both[1]
    if seen.error is not None:
        evidence = [*seen.error.splitlines()[:4], f"file: {seen.extension}"]
        return fail(check, CAUSE, "torchvision's compiled operators do not load", evidence)
    if seen.nms != KEPT:
        return fail(check, CAUSE, "torchvision::nms gives a wrong answer", [f"kept {seen.nms}, not {KEPT}"])
    return ok(check, "torchvision::nms ran on the CPU", [f"kept boxes {list(seen.nms)} of 3"])
