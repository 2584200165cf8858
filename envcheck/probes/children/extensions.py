"""Finds the libraries with CUDA code among torch's packages, within a time limit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envcheck.probes.children.fat_binary import OutOfTimeError, architectures

# Long enough for a few dozen packages; ENVCHECK_SCAN_SECONDS gives it more.
SECONDS = 0.25
# NVIDIA's own libraries hold code for every card they support, and Triton compiles for the card at hand.
PASSED_OVER = ("nvidia", "triton", "torch", "functorch")
# What wheels carry along of other people's libraries, NVIDIA's among them.
VENDORED = ".libs"
TORCH = "torch/lib/libtorch_cuda"


def extensions(packages: Path, seconds: float | None = None) -> dict[str, Any]:
    """`extensions` holds facts.Extension for every library with CUDA code, `left_out` is how many were not read.

    torchvision first, torch's own libraries last: what they hold is known from torch itself.
    """
    deadline = time.monotonic() + (_seconds() if seconds is None else seconds)
    found: list[dict[str, Any]] = []
    left_out = 0
    for path in _libraries(packages, deadline):
        if path is None or time.monotonic() > deadline:
            left_out += 1
            continue
        try:
            read = architectures(str(path), deadline)
        except OutOfTimeError:
            left_out += 1
            continue
        except (OSError, ValueError):
            continue  # a link to nowhere, a linker script, a library for another kind of machine
        if read is not None:
            package = path.relative_to(packages).parts[0]
            found.append({"package": package, "path": str(path), "machine_code": read[0], "ptx": read[1]})
    return {"extensions": found, "left_out": left_out}


def _seconds() -> float:
    try:
        return float(os.environ.get("ENVCHECK_SCAN_SECONDS", ""))
    except ValueError:
        return SECONDS


def _libraries(packages: Path, deadline: float) -> Iterator[Path | None]:
    """Every shared library; None where the time ran out before a directory was looked into."""
    try:
        names = sorted(entry.name for entry in packages.iterdir())
    except OSError:
        return
    for name in sorted(names, key=lambda name: name != "torchvision"):
        if name not in PASSED_OVER and not name.endswith(VENDORED):
            yield from _below(packages / name, deadline)
    yield from sorted(packages.glob(f"{TORCH}*.so"))


def _below(path: Path, deadline: float) -> Iterator[Path | None]:
    if not path.is_dir():
        if _is_library(path.name):
            yield path
        return
    for directory, _, files in os.walk(path):
        if time.monotonic() > deadline:
            yield None
            return
        yield from (Path(directory) / name for name in sorted(files) if _is_library(name))


def _is_library(name: str) -> bool:
    return name.endswith(".so") or ".so." in name
