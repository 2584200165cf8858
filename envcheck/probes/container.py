"""Inside a container or not, and what this container was made from and for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from envcheck.facts import Container, ImageRecord, Request
from envcheck.probes.paths import exists, read_text

IMAGE = "/etc/gpu-launcher/image.json"
REQUEST = "/run/gpu-launcher/request.json"
# Written by Docker, Podman, the launcher's images, Kubernetes and Apptainer; systemd's container interface covers LXC
# and nspawn. containerd alone leaves no file of its own.
SIGNS = (
    "/.dockerenv",
    "/run/.containerenv",
    IMAGE,
    "/run/systemd/container",
    "/run/secrets/kubernetes.io",
    "/.singularity.d",
)


def probe_container(root: Path) -> Container:
    """Files only."""
    signs = tuple(f"{sign} exists" for sign in SIGNS if exists(root, sign)) or _mounts(root)
    return Container(bool(signs), signs, _image(root), probe_request(root), _damage(root))


def _mounts(root: Path) -> tuple[str, ...]:
    """An engine lays an overlay under the container and a file of its own over /etc/hosts."""
    # Fields: https://docs.kernel.org/filesystems/proc.html, 3.5
    lines = [line.split() for line in (read_text(root, "/proc/self/mountinfo") or "").splitlines()]
    points = {fields[4]: fields for fields in lines if len(fields) > 6 and "-" in fields}
    layered = "/" in points and points["/"][points["/"].index("-") + 1] in ("overlay", "fuse.fuse-overlayfs")
    return ("/etc/hosts is mounted over an overlay",) if layered and "/etc/hosts" in points else ()


def probe_request(root: Path) -> Request | None:
    """What the launcher recorded, None where it recorded nothing readable."""
    values = _read_object(root, REQUEST)
    if values is None or values.get("device") not in ("cpu", "gpu"):
        return None
    gpus = values.get("gpus")
    names = tuple(str(gpu) for gpu in gpus) if isinstance(gpus, list) else ()
    return Request(str(values["device"]), names, str(values.get("reason") or ""))


def _image(root: Path) -> ImageRecord | None:
    values = _read_object(root, IMAGE)
    if values is None:
        return None
    cudnn = values.get("cudnn")
    return ImageRecord(
        stack=_text(values.get("stack")),
        target=_text(values.get("target")),
        torch=_text(values.get("torch")),
        torch_cuda=_text(values.get("torch_cuda")),
        cudnn=cudnn if isinstance(cudnn, int) else None,
        nccl=_text(values.get("nccl")),
        compute_capabilities=_texts(values.get("compute_capabilities")),
        ptx=_texts(values.get("ptx")),
    )


def _damage(root: Path) -> str | None:
    broken = [name for name in (IMAGE, REQUEST) if exists(root, name) and _read_object(root, name) is None]
    return f"not readable as a JSON object: {', '.join(broken)}" if broken else None


def _read_object(root: Path, path: str) -> dict[str, Any] | None:
    try:
        values = json.loads(read_text(root, path) or "")
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
