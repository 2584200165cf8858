# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""A cuDNN convolution and its three gradients, against the same in double precision on the CPU.

Allowed is a deviation of 1e-4: sums of up to 8192 products stay near 1e-6, the Winograd and FFT algorithms that cuDNN
may choose lose about one digit more, and tf32 (which is off here) would be near 3e-4.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from envcheck.gputests.programs.harness import deviation, largest

TOLERANCE = 1e-4
NAMES = ("forward", "input_gradient", "weight_gradient", "bias_gradient")


def convolution(torch: Any, cuda: Any, index: int) -> dict[str, Any]:
    """Forward and backward; `cudnn` is None where this PyTorch would not use cuDNN."""
    device = cuda.device(index)
    shapes = ((8, 16, 32, 32), (32, 16, 3, 3), (32,), (8, 32, 32, 32))
    inputs = [torch.randn(shape) for shape in shapes]
    with _without_tf32(torch):
        results = _run(torch, [item.to(device) for item in inputs])
        acceptable = torch.backends.cudnn.is_acceptable(inputs[0].to(device))
    references = _run(torch, [item.double() for item in inputs])
    parts = {name: deviation(*pair) for name, pair in zip(NAMES, zip(results, references))}  # noqa: B905  (3.10)
    return {
        "worst": largest(parts.values()),
        "tolerance": TOLERANCE,
        "cudnn": torch.backends.cudnn.version() if acceptable else None,
        **parts,
    }


def _run(torch: Any, inputs: list[Any]) -> list[Any]:
    *leaves, gradient = inputs
    for leaf in leaves:
        leaf.requires_grad_(True)
    output = torch.nn.functional.conv2d(*leaves, padding=1)
    gradients = torch.autograd.grad(output, leaves, gradient)
    return [item.detach() for item in (output, *gradients)]


@contextmanager
def _without_tf32(torch: Any) -> Iterator[None]:
    """PyTorch convolves fp32 in tf32 by default. 2.9 replaced the setting and refuses a mix of old and new ones."""
    cudnn = torch.backends.cudnn
    setting: Any = getattr(cudnn, "conv", None)
    if hasattr(setting, "fp32_precision"):
        before, setting.fp32_precision = setting.fp32_precision, "ieee"
    else:
        before, cudnn.allow_tf32 = cudnn.allow_tf32, False
    try:
        yield
    finally:
        if hasattr(setting, "fp32_precision"):
            setting.fp32_precision = before
        else:
            cudnn.allow_tf32 = before
