"""cuDNN: does it load, which version, and is it the one that came with PyTorch."""

from __future__ import annotations

from pathlib import PurePath

from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.checks.crashes import crash_in, crash_lines
from envcheck.checks.library_path import lying_in_it, setting, without
from envcheck.checks.torch import imported
from envcheck.compat import cudnn_version_text
from envcheck.facts import Facts, Torch
from envcheck.finding import Finding

CAUSE = "cudnn-shadowed"


def cudnn_loads(facts: Facts) -> Finding:
    """What it checks: that cuDNN loads in a child process, its version, and that all its parts come from one place.
    Why it matters: a part of another cuDNN on LD_LIBRARY_PATH aborts the process (exit code 134).
    How to fix: take the directory with libcudnn*.so out of LD_LIBRARY_PATH.
    Reference: https://docs.nvidia.com/deeplearning/cudnn/latest/
    """
    check, torch = "cudnn", imported(facts)
    if isinstance(torch, str):
        return skip(check, torch)
    crash = crash_in(torch, "cudnn")
    if crash is not None or torch.cudnn_error is not None:
        evidence = crash_lines(crash) if crash is not None else (torch.cudnn_error or "").splitlines()[:4]
        return _broken([*evidence, *setting(facts)], facts)
    if torch.cuda is None:
        return skip(check, "no CUDA build of PyTorch, so no cuDNN")
    if torch.cudnn is None:
        return skip(check, "this PyTorch was built without cuDNN")
    text = cudnn_version_text(torch.cudnn)
    evidence = [f"version number {torch.cudnn}", *torch.cudnn_libraries]
    foreign = _foreign(torch)
    if foreign:
        summary = f"cuDNN {text} loads, but parts of it are not PyTorch's"
        return warn(check, CAUSE, summary, [*foreign, *setting(facts)], cudnn_fix(facts))
    return ok(check, f"cuDNN {text}", evidence)


def _broken(evidence: list[str], facts: Facts) -> Finding:
    if not facts.environment.get("LD_LIBRARY_PATH"):
        return fail("cudnn", CAUSE, "cuDNN does not load: its parts do not belong together", evidence)
    evidence += [f"in LD_LIBRARY_PATH: {path}" for path in lying_in_it(facts, "libcudnn")[:4]]
    return fail("cudnn", CAUSE, "another cuDNN on LD_LIBRARY_PATH breaks PyTorch's", evidence, cudnn_fix(facts))


def cudnn_fix(facts: Facts) -> tuple[str, ...] | None:
    """The exact command where the directories are known, else the catalogue's."""
    return without(facts, {str(PurePath(path).parent) for path in lying_in_it(facts, "libcudnn")}) or None


def _foreign(torch: Torch) -> list[str]:
    """Loaded parts outside torch's own packages, where other parts are inside: all outside is a system build."""
    home = PurePath(torch.location or "/").parent
    outside = [path for path in torch.cudnn_libraries if not PurePath(path).is_relative_to(home)]
    return outside if len(outside) < len(torch.cudnn_libraries) else []
