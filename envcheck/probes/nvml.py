"""NVML: the driver's own list of GPUs. The launcher takes the host's GPU list from here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envcheck.codec import decode
from envcheck.compat import nvml_error
from envcheck.facts import Nvml, NvmlDevice
from envcheck.probes.child import LIBRARY_SECONDS, Child, Ended, start_bare
from envcheck.probes.cuda import on_library_path


def start_nvml(
    root: Path = Path("/"), environ: Mapping[str, str] | None = None, *, usage: bool = False
) -> Child | None:
    """Start the child; None where it is not to be asked. `usage`: also read what uses each GPU now."""
    if not on_library_path("libnvidia-ml.so.1", root, os.environ if environ is None else environ):
        return None
    return start_bare("envcheck.probes.children.nvml_query", *(("usage",) if usage else ()), environ=environ)


def finish_nvml(child: Child | None, timeout: float = LIBRARY_SECONDS) -> Nvml:
    """The child's report as facts."""
    if child is None:
        return Nvml(error="libnvidia-ml.so.1 is not on LD_LIBRARY_PATH (injected root)")
    return nvml_facts(child.finish(timeout))


def probe_nvml(
    root: Path = Path("/"),
    environ: Mapping[str, str] | None = None,
    timeout: float = LIBRARY_SECONDS,
    *,
    usage: bool = False,
) -> Nvml:
    """Every GPU of this machine, in NVML's order; `error` says why there is none to list."""
    return finish_nvml(start_nvml(root, environ, usage=usage), timeout)


def nvml_facts(ended: Ended) -> Nvml:
    """Pure: the stages as facts."""
    load_error, code = ended.value("load", "error"), ended.value("init", "code")
    failures = ended.value("devices", "failures") or ()
    return Nvml(
        loaded="load" in ended.stages and load_error is None,
        error=_reason(ended),
        path=ended.value("load", "path"),
        init_code=code,
        driver_version=ended.value("system", "driver_version"),
        cuda_version=ended.value("system", "cuda_version"),
        devices=tuple(_device(values) for values in ended.value("devices", "devices") or ()),
        device_codes=tuple(int(failure["code"]) for failure in failures),
        crash=ended.crash,
    )


def _device(values: dict[str, Any]) -> NvmlDevice:
    named = dict(values, uuid=values["uuid"] or "", name=values["name"] or "")
    unread = {field: _named(reason) for field, reason in values["health"]["unread"].items()}
    named["health"] = {**values["health"], "unread": unread}
    return decode(NvmlDevice, named, "nvml")


def _named(reason: str) -> str:
    """A function's return code with the name of that code."""
    code = reason.rpartition(" returned ")[2]
    return f"{reason} ({nvml_error(int(code)).name})" if code.isdecimal() else reason


def _reason(ended: Ended) -> str | None:
    load_error, code = ended.value("load", "error"), ended.value("init", "code")
    if load_error:
        return str(load_error)
    if code:
        return f"nvmlInit returned {code} ({nvml_error(code).name})"
    if ended.crash is not None:
        crash = ended.crash
        how = "did not answer" if crash.timed_out else f"ended with {crash.signal or crash.returncode}"
        return f"the NVML child {how} in stage {crash.stage}"
    return None
