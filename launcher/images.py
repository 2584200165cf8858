"""The image an environment starts from: found, or built when its sources changed."""

from __future__ import annotations

from launcher import labels
from launcher.context import Context
from launcher.plan import ImageChoice
from launcher.stacks import Stack, default_stack, find_stack


def choose_image(target: str, stack_name: str | None = None) -> ImageChoice:
    """The image for `target` (jupyter or ssh) of a stack.

    Raises UsageError for an unknown stack, NotReadyError for one that cannot be built.
    """
    from launcher.setup.build import image_reference, require_lock
    from launcher.setup.source import source_digest

    stack = _stack(stack_name)
    require_lock(stack)
    source = source_digest(stack, target)
    return ImageChoice(image_reference(stack, target, source), source)


def ensure_image(context: Context, image: ImageChoice, target: str, stack_name: str | None = None) -> None:
    """Build what choose_image chose for `target` where it is missing or was built from other sources."""
    from launcher.setup.build import build_image

    found = context.engine.image(image.reference)
    if found is None or found.labels.get(labels.IMAGE_SOURCE) != image.source:
        context.progress.say(f"Building the image {image.reference}: the first build takes some minutes")
        build_image(
            _stack(stack_name),
            target,
            context.progress,
            docker_host=context.client_endpoint.url,
            tls=tuple(context.endpoint.docker_arguments()[2:]),
            remote=not context.endpoint.local,
            consent=context.consent is True,
        )


def _stack(name: str | None) -> Stack:
    return find_stack(name) if name else default_stack()
