"""`prune`: look, tell, and on consent remove."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from launcher import labels
from launcher.context import Context
from launcher.errors import LauncherError, UsageError
from launcher.images import choose_image
from launcher.own_files import old_files, remove_path
from launcher.prune import Item, Stored, removable
from launcher.stacks import TARGETS, load_stacks


def find_removable(context: Context, everyone: bool, cache: bool) -> list[Item]:
    """Raises UsageError for everybody's things asked for by somebody who is not root."""
    if everyone and os.getuid() != 0:
        raise UsageError("only root may prune what other users left", "Leave out --all, or: sudo launcher prune --all")
    items = removable(_stored(context), None if everyone else context.owner)
    if cache:
        freed = context.engine.build_cache_bytes()
        items += [Item("cache", "BuildKit", "every user's build cache: the next build is slow", freed)] if freed else []
    return items + old_files(context.environ, context.checkout)


def _stored(context: Context) -> Stored:
    engine = context.engine
    return Stored(
        now=time.time(),
        containers=engine.containers(labels.OWNER),
        networks=engine.list_networks(labels.OWNER),
        volumes=engine.volumes(labels.OWNER, sizes=True),
        images=engine.stored_images(labels.IMAGE_SOURCE),
        current=_current_references(),
    )


def _current_references() -> frozenset[str]:
    stacks = [name for name, stack in load_stacks().items() if stack.locked]
    return frozenset(choose_image(target, name).reference for name in stacks for target in TARGETS)


def remove_items(context: Context, items: Sequence[Item]) -> list[tuple[Item, str]]:
    """Remove each; what could not be removed, with the reason, is left and does not stop the rest."""
    refused = []
    for item in items:
        try:
            _remove(context, item)
        except LauncherError as error:
            refused.append((item, error.cause))
        except OSError as error:
            refused.append((item, str(error.strerror)))
    return refused


def _remove(context: Context, item: Item) -> None:
    engine = context.engine
    if item.kind == "container":
        engine.remove(item.name)
    elif item.kind == "network":
        engine.remove_network(item.name)
    elif item.kind == "volume":
        engine.remove_volume(item.name)
    elif item.kind == "image":
        _remove_image(context, item)
    elif item.kind == "cache":
        engine.prune_build_cache()
    else:
        remove_path(Path(item.name))


def _remove_image(context: Context, item: Item) -> None:
    """Name by name: by its id the engine refuses an image that has several."""
    found = next((i for i in context.engine.stored_images(labels.IMAGE_SOURCE) if i.id == item.name), None)
    for reference in (found.references or (found.id,)) if found else ():
        context.engine.remove_image(reference)
