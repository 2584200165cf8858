"""What a host has to give a GPU to containers: files only, no engine is called."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from envcheck.facts import Runtime
from envcheck.probes.paths import below, entries, exists, read_text

CDI_DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
DAEMON_JSON = "/etc/docker/daemon.json"
# Names as written by nvidia-ctk; YAML needs no parser for these two keys.
KIND = re.compile(r'"?kind"?\s*:\s*"?([\w./-]+)')
DEVICE = re.compile(r'^\s*(?:-\s*)?"?name"?\s*:\s*"?([\w:.-]+)"?,?\s*$', re.MULTILINE)
HOST_PATH = re.compile(r'"?hostPath"?\s*:\s*"?([^\s",]+)')


def probe_runtime(root: Path, environ: Mapping[str, str] | None = None) -> Runtime:
    """Client, engine socket, toolkit, daemon.json and CDI specifications."""
    search = (os.environ if environ is None else environ).get("PATH", os.defpath)
    daemon = read_text(root, DAEMON_JSON)
    registered, error = _registered(daemon)
    specs, devices, missing = _cdi(root)
    socket = next((path for path in ("/var/run/docker.sock", "/run/docker.sock") if exists(root, path)), None)
    return Runtime(
        docker_client=_program("docker", root, search),
        engine_socket=socket,
        podman=_program("podman", root, search),
        toolkit=_program("nvidia-ctk", root, search) or _program("nvidia-container-runtime", root, search),
        daemon_json=DAEMON_JSON if daemon is not None else None,
        nvidia_runtime=registered,
        cdi_specs=specs,
        cdi_devices=devices,
        cdi_missing_paths=missing,
        error=error,
        hook=_program("nvidia-container-runtime-hook", root, search),
    )


def _program(name: str, root: Path, search: str) -> str | None:
    if root == Path("/"):
        return shutil.which(name, path=search)
    return next((path for path in (f"/usr/bin/{name}", f"/usr/local/bin/{name}") if exists(root, path)), None)


def _registered(daemon: str | None) -> tuple[bool, str | None]:
    if not daemon:
        return False, None
    try:
        settings = json.loads(daemon)
    except ValueError as error:
        return False, f"{DAEMON_JSON} is not valid JSON: {error}"
    runtimes = settings.get("runtimes") if isinstance(settings, dict) else None
    return isinstance(runtimes, dict) and "nvidia" in runtimes, None


def _cdi(root: Path) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    specs, devices, missing = [], [], []
    # /var/run is a link to /run on current systems, but an injected root may hold either.
    for directory in (*CDI_DIRECTORIES, *(() if below(root, "/var/run").is_symlink() else ("/run/cdi",))):
        for name in entries(root, directory):
            text = read_text(root, f"{directory}/{name}") if name.endswith((".yaml", ".json")) else None
            kind = KIND.search(text) if text else None
            if text is None or kind is None or not kind.group(1).startswith("nvidia.com/"):
                continue
            specs.append(f"{directory}/{name}")
            devices += [f"{kind.group(1)}={device}" for device in DEVICE.findall(text)]
            missing += [path for path in HOST_PATH.findall(text) if not exists(root, path)]
    return tuple(specs), tuple(dict.fromkeys(devices)), tuple(dict.fromkeys(missing))
