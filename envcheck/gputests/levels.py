"""How much `envcheck gpu` does: read by the command and by its programs, so nothing newer than Python 3.9 here."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Level:
    """`stages` run on every GPU. Sizes are bytes, times seconds; `order` is that of the matrices that are timed."""

    stages: tuple[str, ...] = ()
    order: int = 4096
    timed: float = 0.2
    copied: int = 64 * MEBIBYTE
    peer_copied: int = 16 * MEBIBYTE
    reduced: int = 64 * MEBIBYTE
    all_reduce: bool = True
    load: float = 0.0


NUMBERS = ("matmul", "matmul-tf32", "matmul-bf16", "convolution", "nms")
KERNEL_ONLY, QUICK, STANDARD, FULL = "kernel-only", "quick", "standard", "full"
# 8192: large enough to reach what an H100 can do in bf16; three such matrices in fp32 take 0.8 GB.
LEVELS = {
    KERNEL_ONLY: Level(all_reduce=False),
    QUICK: Level(NUMBERS, all_reduce=False),
    STANDARD: Level((*NUMBERS, "compile", "memory"), timed=0.5, peer_copied=64 * MEBIBYTE),
    FULL: Level(
        (*NUMBERS, "compile", "memory", "load"),
        order=8192,
        timed=1.0,
        copied=256 * MEBIBYTE,
        peer_copied=256 * MEBIBYTE,
        reduced=256 * MEBIBYTE,
        load=8.0,
    ),
}
