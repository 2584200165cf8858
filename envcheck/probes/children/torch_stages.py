# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""Imports torch and tries its parts one after another; run by probes/torch.py in the Python that has torch.

Arguments: the number of GPUs CUDA can use, then the stages to run (none: all), import always first.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from envcheck.probes.children.emitter import Emitter, loaded_libraries
from envcheck.probes.children.extensions import extensions
from envcheck.probes.children.torchvision_library import library_path

# The first use of eight cards without persistence mode takes long.
COLLECTIVE_TIMEOUT = timedelta(seconds=60)
# Two boxes that overlap by 0.68 and one apart: the lower-scored of the pair must go.
BOXES = [[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 11.0, 11.0], [20.0, 20.0, 30.0, 30.0]]
SCORES = [0.9, 0.8, 0.7]


def main() -> None:
    """Import, then the stages asked for. A stage that raises is reported and the next one runs."""
    gpus, chosen = int(sys.argv[1]), sys.argv[2:] or list(STAGES)
    emitter = Emitter()
    torch: Any = None
    with emitter.stage("import") as values:
        started = time.perf_counter()
        values["python_version"] = platform.python_version()
        torch = import_module("torch")
        values.update(_describe(torch), seconds=time.perf_counter() - started)
    if torch is None:
        return
    for name in chosen:
        with emitter.stage(name) as values:
            STAGES[name](torch, gpus, values)
    # Everything is reported; taking torch down in order costs up to a second more and tells nothing.
    os._exit(0)


def _describe(torch: Any) -> dict[str, Any]:
    flags = getattr(torch._C, "_cuda_getArchFlags", lambda: None)()
    return {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda,
        "hip": getattr(torch.version, "hip", None),
        "location": str(Path(torch.__file__).parent),
        "architectures": (flags or "").split(),
        "libcuda": next(iter(loaded_libraries("libcuda.so")), None),
    }


def _compiler(_torch: Any, _gpus: int, values: dict[str, Any]) -> None:
    # The order in which Triton looks for a C compiler: https://github.com/triton-lang/triton, runtime/build.py
    values["c_compiler"] = next(
        filter(None, map(shutil.which, filter(None, (os.environ.get("CC"), "gcc", "clang", "cc")))), None
    )
    values["cxx_compiler"] = next(
        filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++", "c++")))), None
    )
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    values["python_header"] = str(header) if header.exists() else None


def _extensions(torch: Any, _gpus: int, values: dict[str, Any]) -> None:
    if torch.version.cuda is not None:
        values.update(extensions(Path(torch.__file__).parents[1]))


def _torchvision(torch: Any, _gpus: int, values: dict[str, Any]) -> None:
    # torch.ops.load_library instead of `import torchvision`: the operators without a second of imports.
    try:
        distribution = importlib.metadata.distribution("torchvision")
    except importlib.metadata.PackageNotFoundError:
        return
    values["version"] = distribution.version
    pins = (re.match(r"torch\s*\(?==\s*([^\s;)]+)", line) for line in distribution.requires or ())
    values["requires_torch"] = next((pin.group(1) for pin in pins if pin), None)
    path = library_path(distribution)
    values["extension"] = path
    torch.ops.load_library(path)
    kept = torch.ops.torchvision.nms(torch.tensor(BOXES), torch.tensor(SCORES), 0.5)
    values["nms"] = kept.tolist()
    values["cuda_version"] = int(torch.ops.torchvision._cuda_version())


def _nccl(torch: Any, _gpus: int, values: dict[str, Any]) -> None:
    if torch.version.cuda is not None:
        version = torch.cuda.nccl.version()
        values["version"] = ".".join(map(str, version)) if isinstance(version, tuple) else str(version)


def _gloo_all_reduce(torch: Any, _gpus: int, values: dict[str, Any]) -> None:
    # Loopback only: the collective is what is tried here, not the machine's network.
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    values.update(_collective(torch, "gloo", 2))


def _nccl_all_reduce(torch: Any, gpus: int, values: dict[str, Any]) -> None:
    if gpus:
        values.update(_collective(torch, "nccl", gpus))


def _collective(torch: Any, backend: str, ranks: int) -> dict[str, Any]:
    """Real ranks as forks of this process, which has paid for the import already; CUDA is untouched before."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="envcheck-") as directory:
        path = str(Path(directory) / "store")
        children = []
        for rank in range(1, ranks):
            process = os.fork()
            if process == 0:
                _follow(torch, backend, path, rank, ranks)
            children.append(process)
        try:
            result = _take_part(torch, backend, path, 0, ranks)
        finally:
            for process in children:
                os.waitpid(process, 0)
    seconds = time.perf_counter() - started
    return {"ranks": ranks, "result": result, "expected": ranks * (ranks + 1) / 2, "seconds": seconds}


def _follow(torch: Any, backend: str, path: str, rank: int, ranks: int) -> NoReturn:
    # _exit: a fork must not run the parent's exit handlers or flush its buffers.
    code = 1
    with contextlib.suppress(BaseException):
        _take_part(torch, backend, path, rank, ranks)
        code = 0
    os._exit(code)


def _take_part(torch: Any, backend: str, path: str, rank: int, ranks: int) -> float:
    """One rank: every rank adds its number plus one over 1 MB, and reads the last element of the sum."""
    distributed = torch.distributed
    device = f"cuda:{rank}" if backend == "nccl" else "cpu"
    if backend == "nccl":
        torch.cuda.set_device(rank)
    store = distributed.FileStore(path, ranks)
    distributed.init_process_group(backend, store=store, rank=rank, world_size=ranks, timeout=COLLECTIVE_TIMEOUT)
    try:
        tensor = torch.full((1 << 18,), float(rank + 1), device=device)
        distributed.all_reduce(tensor)
        return float(tensor[-1].item())
    finally:
        distributed.destroy_process_group()


def _cudnn(torch: Any, _gpus: int, values: dict[str, Any]) -> None:
    if torch.version.cuda is not None:
        values["version"] = torch.backends.cudnn.version()
        values["libraries"] = loaded_libraries("libcudnn")


def _cuda(torch: Any, _gpus: int, values: dict[str, Any]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values["available"] = bool(torch.cuda.is_available())
        values["device_count"] = int(torch.cuda.device_count())
    values["warning"] = next((str(item.message) for item in caught), None)


# CUDA last but for NCCL, whose ranks must be forked before this process touches CUDA; cuDNN late, it may abort.
STAGES: dict[str, Callable[[Any, int, dict[str, Any]], None]] = {
    "compiler": _compiler,
    "extensions": _extensions,
    "nccl": _nccl,
    "torchvision": _torchvision,
    "gloo": _gloo_all_reduce,
    "nccl-all-reduce": _nccl_all_reduce,
    "cudnn": _cudnn,
    "cuda": _cuda,
}
