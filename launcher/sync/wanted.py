"""Whether an environment works on a copy of its project: as asked for, else as the one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from launcher import labels, places
from launcher.context import Context
from launcher.errors import LauncherError, UsageError
from launcher.settings.keys import BY_NAME
from launcher.settings.resolve import resolve_switch
from launcher.settings.setting import Origin, Setting


def asked_copy(context: Context, options: Mapping[str, object]) -> Setting | None:
    """The setting `sync`, None where nobody said anything; raises UsageError for a variable or file that is wrong."""
    return resolve_switch("sync", context.environ, _project_here(context, options), options.get("sync"))


def kept_copy(context: Context, options: Mapping[str, object]) -> Setting | None:
    """As if it had been said again, where it was once: a copy is not left behind by a shorter command line."""
    here = _project_here(context, options)
    if here is not None and _is_copied(context, here, options):
        return Setting(BY_NAME["sync"], "", "true", Origin.FLAG, "the environment that is there")
    return None


def _project_here(context: Context, options: Mapping[str, object]) -> Path | None:
    given = options["project"]
    with suppress(UsageError):
        return places.project(context, None if given is None else str(given), sync=True)
    return None


def _is_copied(context: Context, project: Path, options: Mapping[str, object]) -> bool:
    """By the container where there is one, else by the volume that `down` kept."""
    wanted = {labels.OWNER: str(context.owner), labels.PROJECT: str(project)}
    wanted |= {labels.NAME: str(options["name"])} if options.get("name") else {}
    wanted |= {labels.MODE: str(options["mode"])} if options.get("mode") else {}
    with suppress(LauncherError):
        volumes = [v for v in context.engine.volumes(labels.SYNC) if wanted.items() <= v.labels.items()]
        names = {labels.engine_name(context.owner, v.labels[labels.NAME]) for v in volumes}
        containers = [c for c in context.engine.containers(labels.OWNER) if c.name in names] if names else []
        return bool(names) and (not containers or any(labels.SYNC in c.labels for c in containers))
    return False
