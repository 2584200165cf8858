# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""The matrix product in fp32, tf32 and bf16, against the same product in double precision on the CPU.

The deviation is the largest difference divided by the largest absolute value of the reference. The inputs are normally
distributed, so with K terms the reference reaches about 5 * sqrt(K), and what is allowed follows from the formats:

fp32  A sum of K products collects rounding errors of 2^-24 each. PyTorch's own example (K = 10240, A100) is off by
      0.0031 where values reach 570: 6e-6. Allowed is 1e-5 at K = 1024, in proportion to K above: ten times what a
      correct sum shows, and a quarter of what tf32 in place of fp32 would show.
tf32  Both factors keep 11 significant bits, so a product is off by up to 2^-10. The same example is off by 0.1747:
      3e-4, whatever K is. Allowed is 2e-3.
bf16  The factors are rounded before, for the reference too; products are exact and sums in fp32. What is left is the
      rounding of the result to 8 significant bits, up to 2^-8 = 4e-3 of its value. Allowed is twice that.

https://docs.pytorch.org/docs/stable/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from envcheck.gputests.programs.harness import NotApplicable, deviation

CHECKED = 1024  # order of the product that is compared as a whole
SAMPLED = 64  # rows and columns of the timed product that are compared
AMPERE = (8, 0)
TOLERANCES = {"fp32": 1e-5, "tf32": 2e-3, "bf16": 2.0**-7}


def tolerance(precision: str, terms: int) -> float:
    """What a product with sums of `terms` terms may deviate."""
    growth = max(1.0, terms / CHECKED) if precision == "fp32" else 1.0
    return TOLERANCES[precision] * growth


def matmul(torch: Any, cuda: Any, index: int, precision: str, *, order: int, timed: float) -> dict[str, Any]:
    """A product compared as a whole, then a larger one compared in part and timed. Raises NotApplicable."""
    # Tensor cores for tf32 and bf16 came with Ampere: https://docs.nvidia.com/cuda/ampere-tuning-guide/
    if precision != "fp32" and cuda.capability(index) < AMPERE:
        raise NotApplicable(f"this card has no {precision}: that needs compute capability 8.0")
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    device = cuda.device(index)
    with _precision(torch, precision):
        left, right = (torch.randn(CHECKED, CHECKED).to(dtype) for _ in range(2))
        worst = deviation(left.to(device) @ right.to(device), left.double() @ right.double())
        left, right = (torch.randn(order, order, device=device).to(dtype) for _ in range(2))
        result = left @ right
        rows, columns = (torch.randperm(order)[:SAMPLED].to(device) for _ in range(2))
        expected = left[rows].cpu().double() @ right[:, columns].cpu().double()
        sampled = deviation(result[rows][:, columns], expected)
        once = cuda.seconds(lambda: torch.matmul(left, right, out=result), 1, index)
        repeats = min(1000, max(3, int(timed / once)))
        seconds = cuda.seconds(lambda: torch.matmul(left, right, out=result), repeats, index)
    return {
        "precision": precision,
        "worst": worst,
        "tolerance": tolerance(precision, CHECKED),
        "order": order,
        "timed_worst": sampled,
        "timed_tolerance": tolerance(precision, order),
        "tflops": 2.0 * order**3 / seconds / 1e12,
    }


@contextmanager
def _precision(torch: Any, precision: str) -> Iterator[None]:
    """Set how products of fp32 matrices are computed, and go back to the default.

    set_float32_matmul_precision is the one setting that PyTorch 2.8 and 2.9 and later understand alike:
    https://github.com/pytorch/pytorch/issues/166387
    """
    settings = torch.backends.cuda.matmul
    # Else parts of one sum may be rounded to bf16 before they are added.
    settings.allow_bf16_reduced_precision_reduction = False
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")
        settings.allow_bf16_reduced_precision_reduction = True
