"""Wheels that do not fit together, and a small /dev/shm, over the real PyTorch. What is broken is broken here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from envcheck.probes.children.fat_binary import architectures
from tests.torch.envcheck.wheel import PYTHON, by_check, command, envcheck, needs_torch

pytestmark = needs_torch
INSTALLED = "import importlib.metadata as m, json; d = m.distribution('torchvision'); print(json.dumps(str(d._path)))"


def torchvision(directory: Path, requires: str | None = None) -> Path:
    """Packages whose torchvision has its real metadata (but for the torch it `requires`) and no `_C.so`."""
    told = subprocess.run([str(PYTHON), "-c", INSTALLED], capture_output=True, text=True, check=True).stdout
    metadata = Path(json.loads(told))
    copy = directory / metadata.name
    shutil.copytree(metadata, copy)
    if requires is not None:
        text = (copy / "METADATA").read_text()
        pinned = next(line for line in text.splitlines() if line.startswith("Requires-Dist: torch"))
        (copy / "METADATA").write_text(text.replace(pinned, f"Requires-Dist: torch (=={requires})"))
    (directory / "torchvision").mkdir()
    return directory


def test_a_torchvision_without_its_compiled_operators_is_named(tmp_path: Path) -> None:
    packages = torchvision(tmp_path / "packages")
    code, report = envcheck(tmp_path / "root", "--only", "torch", PYTHONPATH=str(packages))
    assert (code, report["root_cause"]) == (1, "torchvision-mismatch")
    finding = by_check(report)["torchvision-nms"]
    assert finding["status"] == "fail" and any("_C.so" in line for line in finding["evidence"])


def test_a_torchvision_for_another_torch_is_named_with_both_versions(tmp_path: Path) -> None:
    packages = torchvision(tmp_path / "packages", requires="2.7.1")
    code, report = envcheck(tmp_path / "root", "--only", "torch", PYTHONPATH=str(packages))
    assert (code, report["root_cause"]) == (1, "torchvision-mismatch")
    assert "2.7.1" in by_check(report)["torchvision-pair"]["summary"]


def in_small_memory(argv: list[str], environ: dict[str, str], shm: Path) -> dict[str, Any]:
    mount = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=16m tmpfs {shm} && exec "$@"', "sh", *argv]
    done = subprocess.run(mount, env=environ, capture_output=True, text=True, timeout=300)
    if not done.stdout:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_sixteen_megabytes_of_shared_memory_are_a_warning(tmp_path: Path) -> None:
    argv, environ = command(tmp_path, "--only", "memory")
    report = in_small_memory(argv, environ, tmp_path / "dev/shm")
    finding = by_check(report)["shared-memory"]
    assert (finding["status"], finding["cause"]) == ("warn", "shm-too-small")
    assert finding["summary"] == "/dev/shm has only 16 MiB"


def located(module: str) -> Path:
    """The directory of a package of that Python."""
    program = f"import importlib.util as u; print(u.find_spec('{module}').submodule_search_locations[0])"
    done = subprocess.run([str(PYTHON), "-c", program], capture_output=True, text=True)
    return Path(done.stdout.strip() or "/nonexistent")


@pytest.mark.parametrize("library", ["torchvision/_C.so", "nvidia/nccl/lib/libnccl.so.2"])
def test_architectures_read_from_elf_are_what_cuobjdump_says(library: str) -> None:
    cuobjdump = located("triton") / "backends/nvidia/bin/cuobjdump"
    path = located("torch").parent / library
    if not cuobjdump.exists() or not path.exists():
        pytest.skip("no cuobjdump, or no such library, in this Python's packages")
    listed = [
        subprocess.run([str(cuobjdump), option, str(path)], capture_output=True, text=True).stdout
        for option in ("-lelf", "-lptx")
    ]
    code, ptx = (set(re.findall(r"\.sm_(\d+a?)\.", text)) for text in listed)
    seen = architectures(str(path), time.monotonic() + 60)
    assert seen is not None
    assert {name.removeprefix("sm_") for name in seen[0]} == code
    assert {name.removeprefix("compute_") for name in seen[1]} == ptx
