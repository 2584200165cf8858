# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""A function that torch.compile turns into a kernel of its own, against the same in double precision on the CPU.

Allowed is a deviation of 1e-5: sums of 1000 fp32 terms, as for the matrix product.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path
from typing import Any

from envcheck.gputests.programs.harness import NotApplicable, deviation

TOLERANCE = 1e-5
SHAPE = (256, 1000)
VOLTA = (7, 0)
# The order in which each looks: Triton's runtime/build.py, and TorchInductor's cpp_builder.py.
C_COMPILERS = ("CC", "gcc", "clang", "cc")
CXX_COMPILERS = ("CXX", "g++", "clang++", "c++")


def compiled(torch: Any, cuda: Any, index: int) -> dict[str, Any]:
    """Compile anew and run. Raises NotApplicable where a part that compiling needs is absent."""
    device = cuda.device(index)
    _require_parts(cuda, index, on_gpu=device.startswith("cuda"))
    # Workers would outlive a program that is ended for taking too long. Read when TorchInductor is imported.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"

    def fused(left: Any, right: Any) -> Any:
        return (left * right + torch.sin(left)).sum(dim=1)

    inputs = (torch.randn(SHAPE), torch.randn(SHAPE))
    result = torch.compile(fused, fullgraph=True, dynamic=False)(*(item.to(device) for item in inputs))
    if not torch._dynamo.utils.counters["stats"]["unique_graphs"]:
        raise NotApplicable("torch.compile is turned off here (TORCHDYNAMO_DISABLE or TORCH_COMPILE_DISABLE)")
    worst = deviation(result, fused(*(item.double() for item in inputs)))
    return {"worst": worst, "tolerance": TOLERANCE}


def _require_parts(cuda: Any, index: int, *, on_gpu: bool) -> None:
    if on_gpu and cuda.capability(index) < VOLTA:
        # https://github.com/triton-lang/triton#compatibility
        raise NotApplicable("Triton needs compute capability 7.0")
    if on_gpu and importlib.util.find_spec("triton") is None:
        raise NotApplicable("Triton is not installed")
    variable, *programs = C_COMPILERS if on_gpu else CXX_COMPILERS
    if not any(map(shutil.which, filter(None, (os.environ.get(variable), *programs)))):
        raise NotApplicable(f"no {'C' if on_gpu else 'C++'} compiler is installed")
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        raise NotApplicable("Python.h of the Python that runs PyTorch is not installed")
