"""The image an environment starts from: found, or built when its sources or its packages changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from launcher import labels
from launcher.context import Context
from launcher.engine import Image
from launcher.packages import checked_packages
from launcher.plan import ImageChoice
from launcher.stacks import Stack, default_stack, find_stack


def choose_image(
    target: str, stack_name: str | None = None, apt: Iterable[str] = (), pip: Iterable[str] = ()
) -> ImageChoice:
    """The image for `target` (jupyter or ssh) of a stack, with a layer for the packages of `apt` and `pip`.

    Raises UsageError for an unknown stack or a wrong package, NotReadyError for a stack that cannot be built.
    """
    from launcher.setup.build import image_reference, require_lock
    from launcher.setup.layer import layer_reference
    from launcher.setup.source import source_digest

    stack = _stack(stack_name)
    packages = checked_packages(apt, pip, stack)
    require_lock(stack)
    source = source_digest(stack, target)
    base = image_reference(stack, target, source)
    if not packages:
        return ImageChoice(base, source)
    return ImageChoice(layer_reference(base, packages), source, base, packages)


def layer_base(reference: str) -> str:
    """The name of the image below, from a layer's own; for another image's name, that of none."""
    return reference.rpartition("-")[0]


def ensure_image(context: Context, image: ImageChoice, target: str, stack_name: str | None = None) -> None:
    """Build what choose_image chose for `target` where it is missing or was built from something else."""
    if image.base is None:
        _ensure_base(context, image.reference, image.source, target, stack_name)
        return
    base, layer = context.engine.image(image.base), context.engine.image(image.reference)
    if layer is not None and is_current_layer(layer, base, image.source):
        return
    from launcher.setup.layer import build_layer

    _ensure_base(context, image.base, image.source, target, stack_name)
    build_layer(_stack(stack_name), image, context.progress, **_engine(context))


def is_current_layer(layer: Image, base: Image | None, source: str) -> bool:
    """False when it lies over another image than `base`; a layer whose base was removed holds everything itself."""
    if layer.labels.get(labels.IMAGE_SOURCE) != source:
        return False
    return base is None or layer.labels.get(labels.IMAGE_BASE) == base.id


def _ensure_base(context: Context, reference: str, source: str, target: str, stack_name: str | None) -> None:
    from launcher.setup.build import build_image

    found = context.engine.image(reference)
    if found is None or found.labels.get(labels.IMAGE_SOURCE) != source:
        context.progress.say(f"Building the image {reference}: the first build takes some minutes")
        build_image(
            _stack(stack_name),
            target,
            context.progress,
            consent=context.consent is True,
            **_engine(context),
        )


class _Engine(TypedDict):
    docker_host: str
    tls: tuple[str, ...]
    remote: bool


def _engine(context: Context) -> _Engine:
    """Where to build, as the docker command takes it."""
    tls = tuple(context.endpoint.docker_arguments()[2:])
    return _Engine(docker_host=context.client_endpoint.url, tls=tls, remote=not context.endpoint.local)


def _stack(name: str | None) -> Stack:
    return find_stack(name) if name else default_stack()
