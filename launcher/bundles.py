"""`bundle`: the images as one file for a machine with no network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from launcher import __version__, labels
from launcher.bundle_file import BundledImage, Manifest, write_bundle
from launcher.bundle_read import Bundle, open_bundle
from launcher.context import Context
from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.images import choose_image, ensure_image, layer_base
from launcher.render import readable_bytes
from launcher.setup.build import latest_reference
from launcher.stacks import default_stack, find_stack
from launcher.storage import StoredImage
from launcher.transfer import Meter


def save(context: Context, path: Path, targets: Sequence[str], stack: str | None, compress: bool) -> int:
    """Write the current images of `targets`, built where they are missing, to `path`; returns its bytes.

    With them go the layers of packages that the caller's environments were made from.
    Raises UsageError or NotReadyError for a place that cannot hold it; no half file is left.
    """
    _checked_place(path)
    images = [_bundled(context, target, stack) for target in targets]
    everything = context.engine.stored_images(labels.IMAGE_SOURCE)
    layers = list(_layers(context, images, everything))
    images += layers
    stored = [i for i in everything if _names(images) & set(i.references)]
    whole = expected_bytes(stored)
    free = shutil.disk_usage(path.parent).free
    if not compress and free < whole:
        raise NotReadyError(
            f"{readable_bytes(free)} are free at {path.parent}, and the images take {readable_bytes(whole)}",
            "Choose another place, or leave out --no-compression.",
        )
    what = ", ".join([*targets, *([f"{len(layers)} with packages of a project"] if layers else [])])
    context.progress.say(f"Writing {path} ({what}, about {readable_bytes(whole)} before compression)")
    context.progress.say("The engine gets the images ready first, which may take a minute or two")
    sizes = {name: image.total_bytes for image in stored for name in image.references}
    images = [replace(image, bytes=sizes.get(image.references[0], 0)) for image in images]
    references = [name for image in images for name in image.references]
    chunks = Meter(context.progress, "Saving", whole).measure(context.engine.save_images(references))
    return write_bundle(path, Manifest(__version__, tuple(images)), chunks, compress)


def _checked_place(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a directory", f"Name a file in it: launcher bundle save {path}/gpu-launcher.tar")
    if not path.parent.is_dir():
        raise UsageError(f"there is no directory {path.parent}", "Make it, or choose another.")


def _bundled(context: Context, target: str, stack_name: str | None) -> BundledImage:
    image = choose_image(target, stack_name)
    ensure_image(context, image, target, stack_name)
    plain = latest_reference(find_stack(stack_name) if stack_name else default_stack(), target)
    found, latest = context.engine.image(image.reference), context.engine.image(plain)
    # compose.yaml names the plain one.
    same = found is not None and latest is not None and latest.id == found.id
    return BundledImage(target, (image.reference, *((plain,) if same else ())), image.source)


def _layers(context: Context, images: Sequence[BundledImage], stored: Sequence[StoredImage]) -> Iterator[BundledImage]:
    """Those over `images` that environments of the caller were made from; one over an older image is named."""
    containers = context.engine.containers(f"{labels.OWNER}={context.owner}")
    used = {c.image for c in containers if c.labels.get(labels.ROLE) == labels.ROLE_ENVIRONMENT}
    below = {name: image for image in images for name in image.references}
    for layer in stored:
        if layer.id not in used or labels.IMAGE_PACKAGES not in layer.labels:
            continue
        for name in layer.references:
            if image := below.get(layer_base(name)):
                yield BundledImage(image.target, (name,), image.source)
            elif any(name.startswith(f"gpu-launcher/{image.target}:") for image in images):
                context.progress.say(f"Left out {name}: it is not over these images; make it anew by launcher up")


def _names(images: Sequence[BundledImage]) -> set[str]:
    return {name for image in images for name in image.references}


def expected_bytes(images: Sequence[StoredImage]) -> int:
    """Of images saved together: what they share is written once. A guess where they share it with others too."""
    shared = max((image.total_bytes - image.own_bytes for image in images), default=0)
    return shared + sum(image.own_bytes for image in images)


def load(context: Context, path: Path) -> Bundle:
    """Compare the checksum, then give the images to the engine. Raises UsageError or LauncherError, nothing loaded."""
    size = path.stat().st_size if path.is_file() else 0
    bundle = open_bundle(path, Meter(context.progress, "Comparing the checksum", size).measure)
    # The layers below are shared.
    whole = max((image.bytes for image in bundle.manifest.images), default=0)
    context.engine.load_images(_announced(context, Meter(context.progress, "Loading", whole).measure(bundle.images())))
    for image in bundle.manifest.images:
        found = context.engine.image(image.references[0])
        if found is None or found.labels.get(labels.IMAGE_SOURCE) != image.source:
            raise LauncherError(
                f"the engine has no image {image.references[0]} after loading it",
                "Run again with --debug; see what the engine has: docker image ls",
            )
    return bundle


def _announced(context: Context, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """An engine says nothing while it unpacks what it was given, and that takes as long again."""
    yield from chunks
    context.progress.say("The engine has all of it and unpacks it now")


def is_current(image: BundledImage) -> bool:
    """False where `up` of this launcher would build another image than the one in the bundle."""
    stack = image.references[0].rpartition(":")[2].partition("-")[0]
    try:
        return choose_image(image.target, stack).source == image.source
    except LauncherError:
        return False
