"""Pure: what was asked for, the image and the machine make one ContainerPlan; every default lives here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from launcher import labels
from launcher.engine import Attachment, ContainerPlan, VolumeMount
from launcher.host import Caller
from launcher.packages import Packages
from launcher.settings.record import record_json
from launcher.spec import Mode, UpRequest

CONTAINER_PORTS = {Mode.JUPYTER: 8888, Mode.SSH: 2222}
FIRST_PORTS = {Mode.JUPYTER: 8888, Mode.SSH: 2222}
WORKSPACE = "/workspace"
HOME = "/home/user"
RUN = "/run/gpu-launcher"
CACHE = "/cache"
DATA = "/data"
# A root session needs these three to drop to itself: sshd calls setgroups, setgid, setuid and chroot for
# its unprivileged child even when the user is root (sshd.c, privsep_preauth_child).
ROOT_SSH_CAPABILITIES = ("SETGID", "SETUID", "SYS_CHROOT")
# Passed on because a package index behind a proxy is otherwise unreachable from inside.
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CERTIFICATE_FILE = f"{RUN}/ca-certificates.crt"
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO")


@dataclass(frozen=True, slots=True)
class Device:
    """What the environment computes on, and why; `share` allows other environments the same GPUs."""

    gpu: bool
    reason: str
    gpus: tuple[str, ...] = ()
    attachment: Attachment | None = None
    share: bool = False


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """The image an environment is made from; `source` is the digest of the sources it was built from.

    With `packages` it is a layer over the image `base`, which was built from these sources.
    """

    reference: str
    source: str
    base: str | None = None
    packages: Packages = field(default_factory=Packages)


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts of the host a plan depends on. `certificates` says that the host's CA bundle is injected."""

    owner: int
    memory_bytes: int
    processors: int
    environ: Mapping[str, str]
    certificates: bool = False


def own_volumes(owner: int, name: str) -> dict[str, str]:
    """Container path -> volume, of the home and the access files: they belong to one environment."""
    return {HOME: f"gl-{owner}-{name}-home", RUN: f"gl-{owner}-{name}-run"}


def workspace_volume(owner: int, name: str) -> str:
    """The volume that holds the copy of the project where it is not mounted itself."""
    return f"gl-{owner}-{name}-workspace"


def shared_volumes(owner: int, uid: int) -> dict[str, str]:
    """Container path -> volume, of cache and data sets: they belong to one user of one uid in the containers."""
    return {CACHE: f"gl-{owner}-cache-{uid}", DATA: f"gl-{owner}-data-{uid}"}


def plan_container(
    request: UpRequest, image: ImageChoice, caller: Caller, machine: Machine, device: Device, port: int
) -> ContainerPlan:
    """The long-lived container of an environment, reached by JupyterLab or SSH."""
    name = labels.engine_name(machine.owner, request.name)
    volumes = own_volumes(machine.owner, request.name) | shared_volumes(machine.owner, caller.uid)
    volumes |= {WORKSPACE: workspace_volume(machine.owner, request.name)} if request.sync else {}
    plan = ContainerPlan(
        name=name,
        image=image.reference,
        command=("serve",),
        uid=caller.uid,
        gid=caller.gid,
        groups=caller.groups,
        environment=_environment(request, machine, device),
        labels={},
        binds=(
            *([] if request.sync else [(str(request.project), WORKSPACE, False)]),
            *((str(m.host), m.container, m.read_only) for m in request.mounts),
        ),
        volumes=tuple(VolumeMount(volume, path) for path, volume in volumes.items()),
        network=name,
        container_port=CONTAINER_PORTS[request.mode],
        host_port=port,
        shm_bytes=request.shm_bytes or _shared_memory(request, machine),
        pids=request.pids or max(4096, 512 * machine.processors),
        memory_bytes=request.memory_bytes,
        nano_cpus=None if request.cpus is None else round(request.cpus * 1_000_000_000),
        capabilities=ROOT_SSH_CAPABILITIES if caller.is_root and request.mode is Mode.SSH else (),
        attachment=device.attachment,
    )
    return replace(
        plan,
        labels=_labels(request, machine, device, port)
        | {
            labels.IMAGE_SOURCE: image.source,
            labels.SETTINGS: record_json(request.settings),
        },
    )


def plan_one_off(plan: ContainerPlan, command: tuple[str, ...], terminal: bool) -> ContainerPlan:
    """The same container for one command: no port, no capabilities, gone when it ends."""
    return replace(
        plan,
        command=command,
        container_port=None,
        host_port=None,
        capabilities=(),
        terminal=terminal,
        labels={**plan.labels, labels.ROLE: labels.ROLE_TRAIN},
    )


def request_json(device: Device, image: str) -> str:
    """What envcheck and the trainer read inside: the host's PCI bus is visible there, the request is what counts."""
    record = {
        "schema_version": 1,
        "device": "gpu" if device.gpu else "cpu",
        "gpus": list(device.gpus),
        "reason": device.reason,
        "image": image,
    }
    return json.dumps(record)


def _shared_memory(request: UpRequest, machine: Machine) -> int:
    """Docker's 64 MB kill DataLoader workers with a bus error: https://github.com/pytorch/pytorch/issues/5040"""
    return max(min(request.memory_bytes or machine.memory_bytes, machine.memory_bytes) // 2, 64 << 20)


def _environment(request: UpRequest, machine: Machine, device: Device) -> dict[str, str]:
    environment = {key: machine.environ[key] for key in PROXY_VARIABLES if key in machine.environ}
    if machine.certificates:
        environment |= dict.fromkeys(CERTIFICATE_VARIABLES, CERTIFICATE_FILE)
    if device.gpu:
        # CUDA's own order puts the fastest first, and index 1 would be another card than nvidia-smi's:
        # https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    environment |= dict(request.variables)
    visible = "void"
    if device.attachment is not None and device.attachment.kind == "runtime":
        visible = ",".join(device.attachment.devices)
    # Always explicit: the runtime's default would hand every GPU to any image that asks in its own ENV.
    return environment | {"NVIDIA_VISIBLE_DEVICES": visible}


def _labels(request: UpRequest, machine: Machine, device: Device, port: int) -> dict[str, str]:
    return {
        labels.ROLE: labels.ROLE_ENVIRONMENT,
        labels.NAME: request.name,
        labels.MODE: request.mode.value,
        labels.OWNER: str(machine.owner),
        labels.PROJECT: str(request.project),
        labels.PORT: str(port),
        labels.DEVICE: "gpu" if device.gpu else "cpu",
        labels.DEVICE_REASON: device.reason,
        labels.GPUS: json.dumps(list(device.gpus)),
        **({labels.SYNC: "true"} if request.sync else {}),
    }
