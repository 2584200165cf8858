"""Options, variables and files, joined into one request."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from launcher import labels, places
from launcher.context import Context
from launcher.errors import LauncherError, UsageError
from launcher.settings import values
from launcher.settings.resolve import resolve
from launcher.settings.setting import Settings
from launcher.spec import BindMount, GpuRequest, Mode, UpRequest, environment_name
from launcher.sync.wanted import asked_copy, kept_copy


def make_request(context: Context, **options: Any) -> UpRequest:  # noqa: ANN401 (what click parsed)
    """Raises UsageError with the first thing that is wrong; nothing has been touched then.

    `options` are a verb's, by the parameters of settings.keys; a setting that the verb has no option for is left out.
    """
    far = not context.endpoint.local
    copied = asked_copy(context, options) or (kept_copy(context, options) if far else None)
    sync = copied is not None and copied.text == "true"
    project = places.project(context, options["project"], sync)
    settings = resolve(context.environ, context.home, partial(places.mount, context), project, options)
    if copied and "sync" in options:
        settings.setdefault("sync", copied)
    mode = text_of(settings, "mode")
    named = text_of(settings, "name")
    if mode is None and named is not None and "mode" in options:
        mode = _recorded_mode(context, named)
    if mode is None and "mode" in options:
        raise UsageError("no --mode was given", "Add --mode jupyter or --mode ssh. See: launcher up --help")
    name = environment_name(named, project, mode or "train")
    request = with_settings(context, UpRequest(name, Mode(mode or "jupyter"), project, sync=sync), settings)
    # Here the engine is asked last: what is wrong is refused without it.
    chosen = {**options, "name": name, "mode": mode}
    kept = None if copied or far or "sync" not in options else kept_copy(context, chosen)
    return replace(request, sync=True, settings=(*request.settings, kept)) if kept else request


def _recorded_mode(context: Context, name: str) -> str | None:
    """The mode of the caller's environment of that name, running or down; None without one, or without an engine."""
    with suppress(LauncherError):
        container = context.engine.container(labels.engine_name(context.owner, name))
        found = [container] if container else context.engine.volumes(f"{labels.NAME}={name}")
        own = [thing.labels for thing in found if thing.labels.get(labels.OWNER) == str(context.owner)]
        return own[0].get(labels.MODE) if own else None
    return None


def with_settings(context: Context, request: UpRequest, settings: Settings) -> UpRequest:
    """`request`'s name, mode and project, with everything else as `settings` say."""
    memory, cpus, shm, pids, port = (text_of(settings, key) for key in ("memory", "cpus", "shm-size", "pids", "port"))
    return UpRequest(
        name=request.name,
        mode=request.mode,
        project=request.project,
        sync=text_of(settings, "sync") == "true" if "sync" in settings else request.sync,
        gpus=GpuRequest.parse(text_of(settings, "gpus") or "auto"),
        mounts=tuple(BindMount.parse(text, partial(places.mount, context)) for text in texts_of(settings, "mounts")),
        port=int(port) if port else None,
        variables=tuple((s.item, s.text) for s in settings.values() if s.key.name == "env"),
        stack=text_of(settings, "stack"),
        skip_check=text_of(settings, "skip-check") == "true",
        share=text_of(settings, "share") == "true",
        apt=texts_of(settings, "apt"),
        pip=texts_of(settings, "pip"),
        keys=tuple(Path(text) for text in texts_of(settings, "keys")),
        memory_bytes=values.parse_size(memory, "memory") if memory else None,
        cpus=float(cpus) if cpus else None,
        shm_bytes=values.parse_size(shm, "shm-size") if shm else None,
        pids=int(pids) if pids else None,
        restart=text_of(settings, "restart") or "unless-stopped",
        settings=tuple(settings.values()),
    )


def text_of(settings: Settings, key: str) -> str | None:
    """The text of a setting that has one value; None when nobody gave it."""
    found = settings.get(key)
    return found.text if found else None


def texts_of(settings: Settings, key: str) -> tuple[str, ...]:
    """The texts of a list, in their order."""
    return tuple(setting.text for setting in settings.values() if setting.key.name == key)
