"""libcuda: does it load, from where, and which number does cuInit return."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from envcheck.facts import Cuda, CudaDevice
from envcheck.probes.child import LIBRARY_SECONDS, Child, Ended, start_bare


def on_library_path(name: str, root: Path, environ: Mapping[str, str]) -> bool:
    """Whether the loader should be asked for `name`.

    With an injected root the loader's own search would find this machine's library, so there only a
    directory of LD_LIBRARY_PATH counts.
    """
    if root == Path("/"):
        return True
    directories = [part for part in environ.get("LD_LIBRARY_PATH", "").split(":") if part]
    return any((Path(directory) / name).exists() for directory in directories)


def start_cuda(root: Path = Path("/"), environ: Mapping[str, str] | None = None) -> Child | None:
    """Start the child; None where it is not to be asked."""
    if not on_library_path("libcuda.so.1", root, os.environ if environ is None else environ):
        return None
    return start_bare("envcheck.probes.children.cuda_init", environ=environ)


def finish_cuda(child: Child | None, timeout: float = LIBRARY_SECONDS) -> Cuda:
    """The child's report as facts."""
    if child is None:
        return Cuda(error="libcuda.so.1 is not on LD_LIBRARY_PATH (injected root)")
    return cuda_facts(child.finish(timeout))


def probe_cuda(
    root: Path = Path("/"), environ: Mapping[str, str] | None = None, timeout: float = LIBRARY_SECONDS
) -> Cuda:
    """Start and wait."""
    return finish_cuda(start_cuda(root, environ), timeout)


def cuda_facts(ended: Ended) -> Cuda:
    """Pure: the stages as facts."""
    error = ended.value("load", "error")
    return Cuda(
        loaded="load" in ended.stages and error is None,
        error=error,
        path=ended.value("init", "path") or ended.value("load", "path"),
        driver_version=ended.value("version", "version") if ended.value("version", "code") == 0 else None,
        init_code=ended.value("init", "code"),
        count_code=ended.value("count", "code"),
        device_count=ended.value("count", "count"),
        devices=tuple(CudaDevice(**device) for device in ended.value("devices", "devices") or ()),
        ptx_compiler_error=ended.value("ptx", "error"),
        crash=ended.crash,
    )
