# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""How a program runs its proofs: one stage each, skipped with a reason, or failed with the error's text and number."""

from __future__ import annotations

import ctypes
import math
import signal
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from envcheck.probes.children.emitter import Emitter

PR_SET_PDEATHSIG = 1  # prctl(2)


class NotApplicable(Exception):  # noqa: N818  (no error: the reason why a proof does not apply here)
    """The message is the reason that the user reads."""


def die_with_parent() -> None:
    """Have the kernel end this process when envcheck ends, however that happens. Call it in every new process."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def import_torch(emitter: Emitter) -> Any:
    """Stage `import`; None where it raised."""
    torch: Any = None
    with emitter.stage("import") as values:
        torch = import_module("torch")
        torch.manual_seed(0)
        values.update(version=str(torch.__version__), cuda=torch.version.cuda, hip=getattr(torch.version, "hip", None))
    return torch


def run_stage(emitter: Emitter, name: str, proof: Callable[[], dict[str, Any]]) -> bool:
    """Report what `proof` returns as stage `name`; False where it raised.

    After an error the CUDA context may be unusable: the caller then ends the process, and the next stages get another.
    """
    passed = True
    with emitter.stage(name) as values:
        started = time.perf_counter()
        try:
            values.update(proof())
        except NotApplicable as reason:
            values["skip"] = str(reason)
        except Exception as error:
            passed = False
            # torch.AcceleratorError carries the number of the CUDA error since PyTorch 2.8.
            values.update(error=f"{type(error).__name__}: {error}", code=getattr(error, "error_code", None))
        values["seconds"] = time.perf_counter() - started
    return passed


def largest(numbers: Iterable[float]) -> float:
    """The maximum, NaN as soon as one number is NaN (Python's max depends on their order)."""
    values = list(numbers)
    return math.nan if any(math.isnan(value) for value in values) else max(values)


def deviation(result: Any, reference: Any) -> float:
    """Largest difference from `reference` divided by its largest absolute value; both are brought to the CPU."""
    expected = reference.cpu().double()
    return float((result.cpu().double() - expected).abs().max() / expected.abs().max())
