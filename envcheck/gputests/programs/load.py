# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Seconds of full load on a GPU. Every result must stay what the first one was, within the format's rounding.

cuBLAS gives the same bits at every run on one GPU and stream, so a healthy card shows a deviation of 0; allowed is what
the product itself is allowed. https://docs.nvidia.com/cuda/cublas/#results-reproducibility
"""

from __future__ import annotations

import time
from typing import Any

from envcheck.gputests.programs.harness import largest
from envcheck.gputests.programs.matmul import AMPERE, tolerance

BATCH = 0.25  # seconds of work between two comparisons


def sustained(torch: Any, cuda: Any, index: int, sampler: Any, *, order: int, seconds: float) -> dict[str, Any]:
    """Matrix products for `seconds`, compared four times a second, with what `sampler` saw meanwhile."""
    precision = "bf16" if cuda.capability(index) >= AMPERE else "fp32"
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(order, order, device=cuda.device(index)).to(dtype) for _ in range(2))
    first, result = left @ right, torch.empty_like(left)
    scale = float(first.abs().max())
    once = cuda.seconds(lambda: torch.matmul(left, right, out=result), 1, index)
    repeats = max(1, int(BATCH / once))
    deviations, rounds = [0.0], 0
    started = time.perf_counter()
    with sampler:
        while not rounds or time.perf_counter() - started < seconds:
            for _ in range(repeats):
                torch.matmul(left, right, out=result)
            # Reading the number waits for the GPU.
            deviations.append(float((result - first).abs().max()) / scale)
            rounds += repeats
    elapsed = time.perf_counter() - started
    return {
        "precision": precision,
        "worst": largest(deviations),
        "tolerance": tolerance(precision, order),
        "rounds": rounds,
        "loaded": elapsed,
        "tflops": 2.0 * order**3 * rounds / elapsed / 1e12,
        **sampler.seen(),
    }
