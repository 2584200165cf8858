# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Matrix product and cuDNN convolution on every GPU against the same in double precision on the CPU. A child's program.

`worst` is the largest deviation divided by the largest absolute value of the reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from envcheck.probes.children.emitter import Emitter

# Rounding of a sum of 1024 fp32 products stays near 1e-6; Winograd convolutions lose about one digit more.
TOLERANCES = {"matmul": 1e-5, "convolution": 1e-4}


def main() -> None:
    """Stage `import`, then `matmul N` and `convolution N` for every GPU."""
    emitter = Emitter()
    torch: Any = None
    count = 0
    with emitter.stage("import") as values:
        torch = import_module("torch")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.manual_seed(0)
        values["count"] = count = torch.cuda.device_count()
        values["version"] = str(torch.__version__)
    for index in range(count):
        for name, operation in (("matmul", _matmul), ("convolution", _convolution)):
            with emitter.stage(f"{name} {index}") as values:
                started = time.perf_counter()
                values.update(_compare(torch, operation, f"cuda:{index}"), tolerance=TOLERANCES[name])
                values["seconds"] = time.perf_counter() - started


def _matmul(torch: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    return torch.matmul, (torch.randn(1024, 1024), torch.randn(1024, 1024))


def _convolution(torch: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    return torch.nn.functional.conv2d, (torch.randn(8, 16, 32, 32), torch.randn(32, 16, 3, 3))


def _compare(torch: Any, operation: Callable[[Any], Any], device: str) -> dict[str, Any]:
    function, inputs = operation(torch)
    reference = function(*(item.double() for item in inputs))
    result = function(*(item.to(device) for item in inputs)).cpu().double()
    return {"worst": float((result - reference).abs().max() / reference.abs().max())}
