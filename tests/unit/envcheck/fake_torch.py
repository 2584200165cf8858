"""A package named torch with just what envcheck's child asks for. Written by the tests, imported by that child only."""

from __future__ import annotations

from pathlib import Path

SOURCE = """
import os
from types import SimpleNamespace as _Space

__version__ = "2.8.0+cu128"
version = _Space(cuda="12.8")
_C = _Space(_cuda_getArchFlags=lambda: {flags!r})


def _cudnn():
    if {abort!r}:
        os.write(2, {abort!r}.encode())
        os.abort()
    return 91002


backends = _Space(cudnn=_Space(version=_cudnn))
cuda = _Space(
    is_available=lambda: True,
    device_count=lambda: int(os.environ.get("FAKE_CUDA_COUNT", "1")),
    nccl=_Space(version=lambda: (2, 27, 3)),
)
"""


def write_torch(directory: Path, *, flags: str = "sm_70 sm_80 sm_86 sm_90 sm_120", abort: str = "") -> Path:
    """`abort` is what loading cuDNN says before it aborts the process; empty: it loads. Returns `directory`."""
    package = directory / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(SOURCE.format(flags=flags, abort=abort))
    return directory
