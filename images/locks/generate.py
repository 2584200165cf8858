#!/usr/bin/env python3
"""Write the hash-locked requirements of a stack from stacks.toml and the .in files; needs `uv` and the stack's index.

    images/locks/generate.py [STACK]     # default: the stack that stacks.toml names

Writes base/STACK.txt (both targets), jupyter/STACK.txt (only what JupyterLab adds, so that a new JupyterLab rebuilds
one small layer) and tools/tools.txt (the installer itself). No index host is written into them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

LOCKS = Path(__file__).resolve().parent
PYTORCH_INDEX = "https://download.pytorch.org/whl"
PINNED = ("torch", "torchvision", "torchaudio", "triton")
REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)==")


def main() -> int:
    stacks = tomllib.loads((LOCKS.parent / "stacks.toml").read_text())
    name = sys.argv[1] if len(sys.argv) > 1 else stacks["default"]
    stack = stacks["stacks"][name]
    pins = "".join(f"{package}=={stack[package]}{local_version(stack, name)}\n" for package in PINNED)
    wanted = pins + (LOCKS / "base/base.in").read_text()
    base = LOCKS / f"base/{name}.txt"
    base.write_text(compile_lock(wanted, name, stack))
    both = compile_lock(wanted + (LOCKS / "jupyter/jupyter.in").read_text(), name, stack, base)
    (LOCKS / f"jupyter/{name}.txt").write_text(without(both, names(base.read_text())))
    (LOCKS / "tools/tools.txt").write_text(compile_lock((LOCKS / "tools/tools.in").read_text(), name, stack))
    return 0


def local_version(stack: dict[str, str], name: str) -> str:
    """PyTorch's index serves `2.8.0+cu126`, PyPI plain `2.8.0`."""
    return f"+{name}" if stack["index"] == "pytorch" else ""


def compile_lock(requirements: str, name: str, stack: dict[str, str], constraint: Path | None = None) -> str:
    """Resolve `requirements` for the image's platform and return the locked text with hashes."""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as source:
        source.write(requirements)
        source.flush()
        command = [
            "uv",
            "pip",
            "compile",
            source.name,
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--no-emit-index-url",
            "--no-emit-find-links",
            "--quiet",
            "--python-version",
            stack["python"],
            "--python-platform",
            "x86_64-manylinux_2_28",
        ]
        if constraint is not None:
            command += ["--constraint", str(constraint)]
        if stack["index"] == "pytorch":
            command += ["--extra-index-url", f"{PYTORCH_INDEX}/{name}", "--index-strategy", "unsafe-best-match"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def names(lock: str) -> set[str]:
    return {match.group(1) for match in map(REQUIREMENT.match, lock.splitlines()) if match}


def without(lock: str, unwanted: set[str]) -> str:
    """Drop the requirements of `unwanted` with their hash lines."""
    kept: list[str] = []
    keeping = True
    for line in lock.splitlines(keepends=True):
        match = REQUIREMENT.match(line)
        if match:
            keeping = match.group(1) not in unwanted
        if keeping:
            kept.append(line)
    return "".join(kept)


if __name__ == "__main__":
    sys.exit(main())
