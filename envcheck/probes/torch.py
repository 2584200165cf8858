"""PyTorch, tried in one child process of the Python that has it; a new child only after a crash."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from envcheck.codec import decode
from envcheck.facts import AllReduce, Crash, Extension, Torch, Torchvision
from envcheck.probes.child import Ended, start_hosted
from envcheck.probes.paths import exists
from envcheck.probes.pyenv import behind_shim

MODULE = "envcheck.probes.children.torch_stages"
STAGES = ("compiler", "extensions", "nccl", "torchvision", "gloo", "nccl-all-reduce", "cudnn", "cuda")
ON_THE_GPU = ("nccl-all-reduce", "cuda")
TIMEOUT = 180.0
HERE = Path("/")  # Pythons are looked for on this machine, whatever root the rest is read below


def find_python(environ: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """The interpreter whose torch is meant, and the places that were searched.

    No interpreter is started to find out: this one, ENVCHECK_PYTHON, an active virtual or conda environment, then
    `python` and `python3` of PATH are judged by a torch directory among their packages.
    """
    named = environ.get("ENVCHECK_PYTHON")
    if named:
        return named, (named,)
    searched = []
    for candidate in _candidates(environ):
        searched.append(candidate)
        if _has_torch(Path(candidate), environ):
            return candidate, tuple(searched)
    if find_spec("torch") is not None:
        return sys.executable, (sys.executable,)
    return None, (sys.executable, *searched)


def _candidates(environ: Mapping[str, str]) -> list[str]:
    prefixes = [environ[name] for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if environ.get(name)]
    found = [str(Path(prefix) / "bin/python") for prefix in prefixes]
    on_path = (shutil.which(name, path=environ.get("PATH")) for name in ("python", "python3"))
    found += [behind_shim(path, environ) for path in on_path if path]
    return list(dict.fromkeys(path for path in found if exists(HERE, path)))


def _has_torch(python: Path, environ: Mapping[str, str]) -> bool:
    # A virtual environment's python is a link out of it: only the unresolved prefix holds its packages.
    prefixes = {python.parent.parent, python.resolve().parent.parent}
    # Debian's and Fedora's Python install below /usr/local although they lie in /usr; Fedora's packages are in lib64.
    prefixes |= {prefix / "local" for prefix in prefixes}
    if any(next(prefix.glob("lib*/python3*/*-packages/torch/version.py"), None) for prefix in prefixes):
        return True
    # `pip install --user`, which a virtual environment does not see.
    base = environ.get("PYTHONUSERBASE") or f"{environ.get('HOME', '')}/.local"
    own = Path(base) / "lib" / python.resolve().name / "site-packages/torch/version.py"
    return exists(HERE, str(own)) and not exists(HERE, str(python.parent.parent / "pyvenv.cfg"))


def probe_torch(environ: Mapping[str, str], gpus: int, timeout: float = TIMEOUT, *, touch_gpu: bool = True) -> Torch:
    """Import torch and try its parts. `gpus` is how many GPUs CUDA can use, for the NCCL ranks."""
    python, searched = find_python(environ)
    if python is None:
        return Torch(searched=searched)
    stages: dict[str, dict[str, Any]] = {}
    crashes: list[Crash] = []
    left = [stage for stage in STAGES if touch_gpu or stage not in ON_THE_GPU]
    while left:
        ended = start_hosted(python, MODULE, str(gpus), *left, environ=environ).finish(timeout)
        stages.update(ended.stages)
        if ended.crash is None:
            break
        crashes.append(ended.crash)
        if ended.crash.stage not in left:
            break
        left = left[left.index(ended.crash.stage) + 1 :]
    facts = torch_facts(Ended(stages, None), tuple(crashes))
    return replace(facts, python=python, searched=searched)


def torch_facts(ended: Ended, crashes: tuple[Crash, ...] = ()) -> Torch:
    """Pure: the stages as facts."""
    value = ended.value
    plain = ("python_version", "version", "cuda", "hip", "location", "libcuda", "error", "seconds")
    return Torch(
        **{name: value("import", name) for name in plain},
        # An import that crashed did find a torch; one that raised ModuleNotFoundError for it did not.
        found=not str(value("import", "error")).startswith("ModuleNotFoundError: No module named 'torch'"),
        architectures=tuple(value("import", "architectures") or ()),
        extensions=tuple(decode(Extension, item, "torch") for item in value("extensions", "extensions") or ()),
        extensions_left_out=value("extensions", "left_out") or 0,
        torchvision=_torchvision(ended),
        cudnn=value("cudnn", "version"),
        cudnn_error=value("cudnn", "error"),
        cudnn_libraries=tuple(value("cudnn", "libraries") or ()),
        nccl=value("nccl", "version"),
        nccl_error=value("nccl", "error"),
        all_reduces=_all_reduces(ended),
        cuda_available=value("cuda", "available"),
        cuda_device_count=value("cuda", "device_count"),
        cuda_warning=value("cuda", "warning") or value("cuda", "error"),
        c_compiler=value("compiler", "c_compiler"),
        cxx_compiler=value("compiler", "cxx_compiler"),
        python_header=value("compiler", "python_header"),
        crashes=crashes,
    )


def _torchvision(ended: Ended) -> Torchvision | None:
    values = ended.stages.get("torchvision")
    if not values:
        return None
    kept = values.get("nms")
    known = {key: values.get(key) for key in ("version", "requires_torch", "extension", "cuda_version", "error")}
    return Torchvision(nms=None if kept is None else tuple(kept), **known)


def _all_reduces(ended: Ended) -> tuple[AllReduce, ...]:
    runs = (_all_reduce(ended, stage) for stage in ("gloo", "nccl-all-reduce"))
    return tuple(run for run in runs if run is not None)


def _all_reduce(ended: Ended, stage: str) -> AllReduce | None:
    values = ended.stages.get(stage)
    if not values:
        return None
    known = {key: values.get(key) for key in ("result", "expected", "seconds", "error")}
    return AllReduce("gloo" if stage == "gloo" else "nccl", values.get("ranks") or 0, **known)
