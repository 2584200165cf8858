"""CUDA libraries in directories of LD_LIBRARY_PATH: the loader takes them before some of PyTorch's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

NAMES = re.compile(
    r"libcuda\.so[\d.]*|lib(?:cudnn|cublas|cudart|cufft|cusolver|cusparse|nccl|nvJitLink|nvrtc)[\w-]*\.so[\d.]*"
)
KEPT = 40


def probe_shadowing(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Whole paths, in the order in which the loader looks."""
    found: dict[str, None] = {}
    for directory in environ.get("LD_LIBRARY_PATH", "").split(":"):
        try:
            names = sorted(entry.name for entry in Path(directory).iterdir()) if directory else []
        except OSError:
            continue
        found.update({str(Path(directory) / name): None for name in names if NAMES.fullmatch(name)})
    return tuple(found)[:KEPT]
