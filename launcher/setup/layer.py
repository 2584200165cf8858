"""A project's own packages as a thin image layer, built when its list, the image below or the recipe changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from launcher import labels
from launcher.errors import LauncherError
from launcher.packages import Packages
from launcher.plan import ImageChoice
from launcher.progress import Progress
from launcher.setup.build import inspect_image, require_disk
from launcher.setup.build_progress import BuildProgress
from launcher.setup.client import find_client
from launcher.setup.layer_failure import layer_error
from launcher.setup.mirrors import Mirrors, build_arguments, read_mirrors, secret_files
from launcher.setup.stream import run_streaming
from launcher.stacks import Stack, images_directory

PARTS = ("layer/Dockerfile", "layer/pip-install", "build/apt-install")


def layer_reference(base: str, packages: Packages) -> str:
    """`BASE-DIGEST`: the order of the lists and duplicates in them do not count. `base` names its own sources."""
    images = images_directory()
    return f"{base}-{packages.digest(*((images / part).read_bytes() for part in PARTS))[:12]}"


def build_layer(
    stack: Stack,
    image: ImageChoice,
    progress: Progress,
    *,
    docker_host: str | None = None,
    tls: tuple[str, ...] = (),
    remote: bool = False,
) -> None:
    """Build `image.reference` over `image.base`, which the engine has; the engine as build.build_image is told of it.

    Raises NotReadyError (no builder, no disk, no network) and LauncherError (a package that cannot be had, or that
    would change the stack); the engine is as it was then.
    """
    client = find_client(docker_host, tls=tls)
    if not remote:
        require_disk(stack, client)
    mirrors = read_mirrors(Path("/"), os.environ)
    progress.say(f"Installing {_listed(image.packages)} into an image of this project's own: {image.reference}")
    view = BuildProgress(progress, "Packages")
    with progress.phase("packages"), tempfile.TemporaryDirectory(prefix="gpu-launcher-layer-") as name:
        context = stage_layer(image.packages, Path(name, "context"))
        client.adapt(context / "Dockerfile")
        secrets = secret_files(mirrors, stack.debian, Path(name))
        base_id, _ = inspect_image(client, image.base or "")
        arguments = layer_command(stack, image, base_id, mirrors, secrets, context)
        done = run_streaming(client.command(*arguments), view.line, environment=client.environment())
    if done.code:
        raise layer_error(done.tail, progress)


def layer_command(
    stack: Stack, image: ImageChoice, base_id: str, mirrors: Mirrors, secrets: Mapping[str, Path], context: Path
) -> list[str]:
    """The docker arguments of the layer's build."""
    arguments = ["build", "--network", "host", "--tag", image.reference]
    for name, value in {"BASE": image.base, "DEBIAN": stack.debian}.items():
        arguments += ["--build-arg", f"{name}={value}"]
    for name, value in {labels.IMAGE_BASE: base_id, labels.IMAGE_PACKAGES: image.packages.text}.items():
        arguments += ["--label", f"{name}={value}"]
    return [*arguments, *build_arguments(mirrors, secrets), str(context)]


def stage_layer(packages: Packages, directory: Path) -> Path:
    """Write the build context into `directory` and return it."""
    directory.mkdir()
    images = images_directory()
    for part in PARTS:
        shutil.copyfile(images / part, directory / Path(part).name)
    dockerfile = directory / "Dockerfile"
    dockerfile.write_text(recipe(dockerfile.read_text(encoding="utf-8"), packages), encoding="utf-8")
    for name, entries in (("apt.txt", packages.apt), ("pip.txt", packages.pip)):
        (directory / name).write_text("".join(f"{entry}\n" for entry in entries), encoding="utf-8")
    for file in directory.iterdir():
        # Modes count in the build cache: they must not depend on the umask.
        file.chmod(0o644)
    return directory


def recipe(text: str, packages: Packages) -> str:
    """The Dockerfile without the steps that have nothing to install."""
    head, *steps = text.split("# ---- ")
    kept = {"apt": bool(packages.apt), "pip": bool(packages.pip), "end": True}
    names = [step.split("\n", 1)[0].strip() for step in steps]
    if set(names) != set(kept):
        raise LauncherError("images/layer/Dockerfile has other steps than apt, pip and end", "restore it")
    return head + "".join(step.split("\n", 1)[1] for name, step in zip(names, steps, strict=True) if kept[name])


def _listed(packages: Packages) -> str:
    return " and ".join(
        f"{len(entries)} {kind} package{'s' if len(entries) > 1 else ''}"
        for kind, entries in (("Debian", packages.apt), ("Python", packages.pip))
        if entries
    )
