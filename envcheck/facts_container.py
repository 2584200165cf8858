"""Facts about containers: the one this process is in, and what a host's engine can give to one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """/etc/gpu-launcher/image.json: what the image says is installed in it."""

    stack: str | None = None
    target: str | None = None
    torch: str | None = None
    torch_cuda: str | None = None
    cudnn: int | None = None
    nccl: str | None = None
    compute_capabilities: tuple[str, ...] = ()
    ptx: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """/run/gpu-launcher/request.json: what the launcher was asked for when it made this container."""

    device: str
    gpus: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """Whether this process is inside a container, and what that container was made for."""

    inside: bool = False
    evidence: tuple[str, ...] = ()
    image: ImageRecord | None = None
    request: Request | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Runtime:
    """The engine's files on a host. No engine is called. `cdi_devices` are names as nvidia.com/gpu=0.

    `hook` is the toolkit's nvidia-container-runtime-hook: with it in its PATH Docker gives GPUs for `--gpus`, also
    where no runtime is registered. https://docs.docker.com/engine/containers/gpu/
    """

    docker_client: str | None = None
    engine_socket: str | None = None
    podman: str | None = None
    toolkit: str | None = None
    daemon_json: str | None = None
    nvidia_runtime: bool = False
    cdi_specs: tuple[str, ...] = ()
    cdi_devices: tuple[str, ...] = ()
    cdi_missing_paths: tuple[str, ...] = ()
    error: str | None = None
    hook: str | None = None
