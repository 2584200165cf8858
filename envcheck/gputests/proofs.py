"""The proofs by their check id: what each runs, what it compares with, and in which levels it runs.

`envcheck gpu --help` prints this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from envcheck.gputests.levels import FULL, QUICK, STANDARD


@dataclass(frozen=True, slots=True)
class Proof:
    """`stage` is what its program reports it as; `level` the lowest that runs it, None where every one does."""

    check: str
    stage: str
    title: str
    text: str
    level: str | None = QUICK


PROOFS = (
    Proof("gpu-kernel", "run", "kernel", "a kernel through the driver alone; 65536 results, all exact", None),
    Proof("gpu-pytorch", "device", "PyTorch", "PyTorch reaches the GPU and adds 1000 ones on it"),
    Proof("gpu-matmul", "matmul", "matrix product in fp32", "against fp64 on the CPU, within 1e-5; rate"),
    Proof("gpu-matmul-tf32", "matmul-tf32", "matrix product in tf32", "the same within 2e-3 (Ampere and later)"),
    Proof("gpu-matmul-bf16", "matmul-bf16", "matrix product in bf16", "the same within 8e-3 (Ampere and later)"),
    Proof("gpu-convolution", "convolution", "cuDNN convolution", "forward and its gradients, within 1e-4"),
    Proof("gpu-nms", "nms", "torchvision nms", "400 boxes; the kept ones must be the same as in plain Python"),
    Proof("gpu-compile", "compile", "torch.compile kernel", "compiled anew, within 1e-5", STANDARD),
    Proof("gpu-memory", "memory", "memory", "nearly all that is free: two patterns written and read back", STANDARD),
    Proof("gpu-load", "load", "load", "8 s of full work, every result as the first one", FULL),
    Proof("gpu-clocks", "load", "clocks under load", "not held back by heat or power supply", FULL),
    Proof("gpu-pcie", "load", "PCIe link under load", "width and generation as high as the slot allows", FULL),
    Proof("gpu-copy", "copy", "pinned copies", "host to GPU and back, equal; bandwidth"),
    Proof("gpu-peer-copy", "peer", "copies between GPUs", "every pair, equal; bandwidth"),
    Proof("gpu-all-reduce", "all-reduce", "NCCL all-reduce", "over all GPUs, exact; bus bandwidth", STANDARD),
)
BY_CHECK = {proof.check: proof for proof in PROOFS}
# Proofs whose deviation is compared with a tolerance, in the order they run.
NUMBERS = ("gpu-matmul", "gpu-matmul-tf32", "gpu-matmul-bf16", "gpu-convolution", "gpu-nms", "gpu-compile")


def documentation() -> str:
    """The table as text, for --help."""
    rows = [f"  {proof.check:<17}{proof.text}{f' [{proof.level}]' if proof.level else ''}" for proof in PROOFS]
    return "\n".join(rows)
