"""NCCL, and a collective operation that really ran."""

from __future__ import annotations

import re

from envcheck.causes import cause as catalogued
from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.checks.crashes import crash_in, crash_lines
from envcheck.checks.torch import imported
from envcheck.facts import AllReduce, Facts
from envcheck.finding import Finding

# Texts of libnccl and of Gloo that determine a cause.
CAUSES = (
    (re.compile(r"socket interface|no interface|Unable to find interface", re.IGNORECASE), "nccl-network-interface"),
    (re.compile(r"shared memory segment|/dev/shm|No space left on device", re.IGNORECASE), "shm-too-small"),
    (re.compile(r"Duplicate GPU", re.IGNORECASE), "nccl-duplicate-gpu"),
    (re.compile(r"Mismatched NCCL version", re.IGNORECASE), "nccl-version-mismatch"),
    (re.compile(r"out of memory", re.IGNORECASE), "gpu-out-of-memory"),
    (re.compile(r"busy or unavailable", re.IGNORECASE), "cuda-device-busy"),
    (re.compile(r"no kernel image", re.IGNORECASE), "arch-unsupported"),
    (re.compile(r"timed? ?out|timeout", re.IGNORECASE), "nccl-timeout"),
)
# Another program has the card, or one card of several is not meant for this PyTorch: NCCL itself is not at fault.
NOT_ITS_FAULT = ("gpu-out-of-memory", "cuda-device-busy", "arch-unsupported")
WRONG_SUM = ("bin/envcheck gpu   # shows which card, or which path between two cards, is at fault",)
DEBUG = ("run the program again with NCCL_DEBUG=INFO   # its last lines name the reason",)


def nccl_version(facts: Facts) -> Finding:
    """What it checks: that PyTorch's NCCL loads and says its version.
    Why it matters: training on several GPUs stands on it.
    How to fix: reinstall PyTorch; remove other NCCL libraries from LD_LIBRARY_PATH and LD_PRELOAD.
    Reference: https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/
    """
    check, torch = "nccl-version", imported(facts)
    if isinstance(torch, str):
        return skip(check, torch)
    crash = crash_in(torch, "nccl")
    if crash is not None:
        return fail(check, "library-shadowed", "asking NCCL for its version crashed", crash_lines(crash))
    if torch.cuda is None:
        return skip(check, "no CUDA build of PyTorch, so no NCCL")
    if torch.nccl is None:
        return skip(check, f"this PyTorch has no NCCL ({torch.nccl_error or 'no version reported'})")
    return ok(check, f"NCCL {torch.nccl}")


def all_reduce(facts: Facts) -> Finding:
    """What it checks: a sum over real processes: two on the CPU (Gloo, loopback), and one for every GPU (NCCL).
    Why it matters: it is the operation distributed training consists of.
    How to fix: as the library's own error text says; NCCL_DEBUG=INFO shows more.
    Reference: https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html
    """
    check, torch = "all-reduce", imported(facts)
    if isinstance(torch, str):
        return skip(check, torch)
    crash = crash_in(torch, "gloo", "nccl-all-reduce")
    if crash is not None:
        lines = crash_lines(crash)
        cause = _cause(" ".join(lines))
        return fail(check, cause, "the all-reduce crashed", lines, None if cause else DEBUG)
    if not torch.all_reduces:
        return skip(check, "no all-reduce was run")
    for run in torch.all_reduces:
        if run.error is not None or run.result is None or run.result != run.expected:
            return _failed(check, run)
    done = ", ".join(f"{run.backend}: {run.ranks} rank{'s' if run.ranks != 1 else ''}" for run in torch.all_reduces)
    return ok(check, f"all-reduce ran ({done})", [_line(run) for run in torch.all_reduces])


def _failed(check: str, run: AllReduce) -> Finding:
    if run.error is not None:
        text = f"the all-reduce over {run.backend} failed"
        cause = _cause(run.error)
        if cause in NOT_ITS_FAULT:
            summary = f"no all-reduce over {run.backend}: {catalogued(cause).what}"
            return warn(check, cause, summary, run.error.splitlines()[:4])
        return fail(check, cause, text, run.error.splitlines()[:4], None if cause else DEBUG)
    return fail(check, None, f"the all-reduce over {run.backend} gave a wrong sum", [_line(run)], WRONG_SUM)


def _line(run: AllReduce) -> str:
    return f"{run.backend}, {run.ranks} ranks: sum {run.result}, expected {run.expected}, {run.seconds or 0.0:.2f} s"


def _cause(text: str) -> str | None:
    return next((cause for pattern, cause in CAUSES if pattern.search(text)), None)
