"""Build the images: base root file system, then one target of images/Dockerfile, with the machine's mirrors and CA."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.progress import Progress
from launcher.setup.base import ensure_root
from launcher.setup.build_progress import BuildProgress
from launcher.setup.client import BuildClient, find_client
from launcher.setup.failure import build_error
from launcher.setup.mirrors import Mirrors, build_arguments, read_mirrors, secret_files
from launcher.setup.source import source_digest, stage_context
from launcher.setup.stream import run_streaming
from launcher.stacks import TARGETS, Stack, default_stack

GIGABYTE = 10**9
FIRST_BUILD_BYTES = 25 * GIGABYTE
# The large layers are there already: only a small one and the export are written.
LATER_BUILD_BYTES = 4 * GIGABYTE


@dataclass(frozen=True, slots=True)
class BuildResult:
    """An image that is current; `built` is False when it already was. `seconds` is what this call took."""

    reference: str
    image_id: str
    source: str
    built: bool
    seconds: float


def latest_reference(stack: Stack, target: str) -> str:
    """`gpu-launcher/TARGET:STACK`, which compose.yaml names: whatever was built last."""
    return f"gpu-launcher/{target}:{stack.name}"


def image_reference(stack: Stack, target: str, source: str) -> str:
    """`gpu-launcher/TARGET:STACK-DIGEST`: two versions of the launcher on one engine do not take each other's image."""
    return f"{latest_reference(stack, target)}-{source[:12]}"


def build_image(
    stack: Stack,
    target: str,
    progress: Progress,
    *,
    docker_host: str | None = None,
    tls: tuple[str, ...] = (),
    remote: bool = False,
    consent: bool = False,
) -> BuildResult:
    """Make the image of `target` current on the engine at `docker_host` (default: the environment's).

    `tls` are the docker command's options for it; `remote` says that the engine is another machine's, also where its
    socket is here. Builds nothing when the engine's image carries the digest of today's sources. `consent` allows
    installing the tool that makes a base image. Raises UsageError, NotReadyError or LauncherError.
    """
    started = time.monotonic()
    if target not in TARGETS:
        raise UsageError(f"there is no image target {target!r}", f"choose one of: {', '.join(TARGETS)}")
    require_lock(stack)
    source = source_digest(stack, target)
    client = find_client(docker_host, tls=tls)
    reference = image_reference(stack, target, source)
    identifier, built_from = inspect_image(client, reference)
    if identifier and built_from == source:
        _output(client, "image", "tag", reference, latest_reference(stack, target))
        return BuildResult(reference, identifier, source, built=False, seconds=time.monotonic() - started)
    if not remote:
        require_disk(stack, client)
    mirrors = read_mirrors(Path("/"), os.environ)
    root = ensure_root(stack, client, mirrors, progress, consent=consent)
    with progress.phase(f"image {target}"):
        _build(stack, target, source, root, client, mirrors, progress)
    current, _ = inspect_image(client, reference)
    return BuildResult(reference, current, source, built=True, seconds=time.monotonic() - started)


def require_lock(stack: Stack) -> None:
    """Raise NotReadyError for a stack whose requirements were never locked."""
    if not stack.locked or not stack.lock("base").is_file():
        raise NotReadyError(
            f"the stack {stack.name} has no hash-locked requirements: its index was out of reach when locks were made",
            f"use the default: --stack {default_stack().name}; or lock it where PyTorch's index can be reached: "
            f"images/locks/generate.py {stack.name}, then locked = true in stacks.toml",
        )


def require_disk(stack: Stack, client: BuildClient) -> None:
    """Raise NotReadyError when the local engine's disk cannot hold a build; a remote engine's cannot be seen."""
    field, usual = ("Store.GraphRoot", "/") if client.podman else ("DockerRootDir", "/var/lib/docker")
    root = Path(_output(client, "info", "--format", f"{{{{.{field}}}}}") or usual)
    host = client.docker_host or os.environ.get("DOCKER_HOST", "")
    if (host and not host.startswith("unix://")) or not root.exists():
        return
    later = any(inspect_image(client, latest_reference(stack, target))[0] for target in TARGETS)
    needed = LATER_BUILD_BYTES if later else FIRST_BUILD_BYTES
    free = shutil.disk_usage(root).free
    if free < needed:
        raise NotReadyError(
            f"{free / GIGABYTE:.1f} GB are free at {root}, and building the image takes {needed / GIGABYTE:.0f} GB",
            "free space (docker builder prune frees old build caches), then run this again",
        )


def build_command(
    stack: Stack, target: str, source: str, root: str, mirrors: Mirrors, secrets: dict[str, Path], context: Path
) -> list[str]:
    """The docker arguments of one build."""
    arguments = ["build", "--network", "host", "--file", str(context / "images/Dockerfile"), "--target", target]
    for reference in (image_reference(stack, target, source), latest_reference(stack, target)):
        arguments += ["--tag", reference]
    values = {"ROOT_IMAGE": root, "STACK": stack.name, "DEBIAN": stack.debian, "SOURCE": source}
    for name, value in values.items():
        arguments += ["--build-arg", f"{name}={value}"]
    labels = {"torch": stack.torch, "cuda": stack.cuda, "python": stack.python}
    for name, value in labels.items():
        arguments += ["--label", f"gpu-launcher.{name}={value}"]
    return [*arguments, *build_arguments(mirrors, secrets), str(context)]


def _build(
    stack: Stack, target: str, source: str, root: str, client: BuildClient, mirrors: Mirrors, progress: Progress
) -> None:
    reference = image_reference(stack, target, source)
    progress.say(f"Building {reference}: the first build downloads about 3 GB")
    view = BuildProgress(progress, f"Building {target}")
    with tempfile.TemporaryDirectory(prefix="gpu-launcher-build-") as name:
        context = stage_context(stack, Path(name, "context"))
        client.adapt(context / "images/Dockerfile")
        secrets = secret_files(mirrors, stack.debian, Path(name))
        arguments = build_command(stack, target, source, root, mirrors, secrets, context)
        done = run_streaming(client.command(*arguments), view.line, environment=client.environment())
    if done.code:
        raise build_error(done.tail, f"the image {reference} could not be built", progress)


def inspect_image(client: BuildClient, reference: str) -> tuple[str, str]:
    """Id and source label of an image, both empty when the engine does not have it."""
    template = '{{.Id}} {{index .Config.Labels "gpu-launcher.source"}}'
    text = _output(client, "image", "inspect", "--format", template, reference)
    identifier, _, source = text.partition(" ")
    # The podman command leaves out what its engine says.
    return f"sha256:{identifier.removeprefix('sha256:')}" if identifier else "", source.strip()


def _output(client: BuildClient, *arguments: str) -> str:
    try:
        done = subprocess.run(
            client.command(*arguments), capture_output=True, stdin=subprocess.DEVNULL, text=True, check=False
        )
    except OSError as error:
        raise LauncherError(f"{client.path} cannot be run: {error}", "install the docker command line again") from error
    return done.stdout.strip() if done.returncode == 0 else ""
