"""What this machine has: distribution, card, driver, toolkit, engine, disk. Reads only; judges nothing."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.endpoint import DEFAULT_URL, resolve_endpoint
from launcher.setup.engine_packages import ENGINE_PACKAGES, ENGINE_PROGRAMS, installed_packages
from launcher.setup.probe import Answer, EngineState, ask_engine

DATA_ROOT = "/var/lib/docker"
CDI_DIRECTORIES = ("etc/cdi", "var/run/cdi")


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """Everything the plan is made from. Sizes in bytes; paths are those of the machine."""

    distribution: str
    version: str
    codename: str
    architecture: str
    wsl: bool
    user: str
    is_root: bool
    sudo: bool
    apt: bool
    systemd: bool
    card: bool
    card_evidence: tuple[str, ...]
    driver: bool
    toolkit: bool
    runtime_configured: bool
    cdi_specification: bool
    engine_url: str
    engine_source: str
    engine: EngineState
    engine_packages: tuple[str, ...]
    engine_programs: tuple[str, ...]
    other_sockets: tuple[str, ...]
    running_containers: int
    ssh_client: bool
    docker_client: bool
    image: bool
    data_root: str
    free_bytes: int

    @property
    def engine_is_local(self) -> bool:
        """True when the default socket is meant, not DOCKER_HOST or a context."""
        return self.engine_url == DEFAULT_URL


Ask = Callable[[str, str], Answer]


def detect(
    root: Path,
    environ: Mapping[str, str],
    *,
    ask: Ask = ask_engine,
    is_root: bool | None = None,
    free_bytes: Callable[[Path], int] | None = None,
) -> SetupFacts:
    """Look at the machine below `root` and at the engine the environment names.

    Raises UsageError when the selected Docker context does not exist.
    """
    from envcheck.probes.hardware import probe_hardware

    endpoint = resolve_endpoint(environ)
    release = _os_release(_text(root, "etc/os-release"))
    hardware = probe_hardware(root)
    daemon = _json_object(_text(root, "etc/docker/daemon.json"))
    runtimes = daemon.get("runtimes")
    data_root = str(daemon.get("data-root") or DATA_ROOT)
    ping = ask(endpoint.url, "/_ping")
    return SetupFacts(
        distribution=release.get("ID", "unknown"),
        version=release.get("VERSION_ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        architecture=platform.machine(),
        wsl=(root / "dev/dxg").exists(),
        user=environ.get("SUDO_USER") or environ.get("USER") or str(os.getuid()),
        is_root=os.geteuid() == 0 if is_root is None else is_root,
        sudo=_program(root, "sudo"),
        apt=_program(root, "apt-get"),
        systemd=(root / "run/systemd/system").is_dir(),
        card=hardware.present,
        card_evidence=hardware.evidence,
        driver=any((root / path).exists() for path in ("proc/driver/nvidia/version", "dev/dxg")),
        toolkit=_program(root, "nvidia-ctk"),
        runtime_configured=isinstance(runtimes, dict) and "nvidia" in runtimes,
        cdi_specification=_has_nvidia_specification(root),
        engine_url=endpoint.url,
        engine_source=endpoint.source,
        engine=ping.state,
        engine_packages=installed_packages(_text(root, "var/lib/dpkg/status"), ENGINE_PACKAGES),
        engine_programs=tuple(p for p in ENGINE_PROGRAMS if (root / p.lstrip("/")).exists())
        + (("/usr/bin/podman",) if _program(root, "podman") else ()),
        other_sockets=_other_sockets(root, environ),
        running_containers=_count(ask, endpoint.url, "/containers/json") if ping.state is EngineState.ANSWERS else 0,
        ssh_client=_program(root, "ssh"),
        docker_client=_program(root, "docker") or (root / "usr/local/bin/docker").exists(),
        image=ping.state is EngineState.ANSWERS and _count(ask, endpoint.url, IMAGES) > 0,
        data_root=data_root,
        free_bytes=(free_bytes or _free_bytes)(root / data_root.lstrip("/")),
    )


IMAGES = "/images/json?filters=%7B%22label%22%3A%5B%22gpu-launcher.target%22%5D%7D"


def _count(ask: Ask, url: str, path: str) -> int:
    body = ask(url, path).body
    return len(body) if isinstance(body, list) else 0


def _program(root: Path, name: str) -> bool:
    return any((root / directory / name).exists() for directory in ("usr/bin", "usr/sbin", "bin"))


def _text(root: Path, path: str) -> str:
    try:
        return (root / path).read_text(errors="replace")
    except OSError:
        return ""


def _json_object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _os_release(text: str) -> dict[str, str]:
    """https://www.freedesktop.org/software/systemd/man/latest/os-release.html"""
    return {key: value.strip("'\"") for key, value in re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)}


def _has_nvidia_specification(root: Path) -> bool:
    files = (file for directory in CDI_DIRECTORIES for file in (root / directory).glob("*") if file.is_file())
    return any("nvidia.com/gpu" in _text(file.parent, file.name) for file in files)


def _other_sockets(root: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Rootless Docker's and Podman's sockets, which a command reaches only through DOCKER_HOST."""
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    paths = (f"{runtime}/docker.sock", f"{runtime}/podman/podman.sock", "/run/podman/podman.sock")
    return tuple(path for path in paths if (root / path.lstrip("/")).exists())


def _free_bytes(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
