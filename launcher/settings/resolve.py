"""Every place where settings may be, read and joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from launcher.settings.files import PROJECT_FILE, read_file, user_file
from launcher.settings.keys import BY_NAME
from launcher.settings.reading import Source, from_flags, from_variables
from launcher.settings.setting import Origin, Setting, joined
from launcher.settings.table import from_file, texts
from launcher.settings.values import parse_switch
from launcher.spec import HostPath


def resolve(
    environ: Mapping[str, str], home: Path, host_path: HostPath, project: Path, options: Mapping[str, object]
) -> dict[str, Setting]:
    """Slot -> setting: flags before variables before launcher.toml before the user's config.toml.

    A setting that `options` has no parameter for is left out. Raises UsageError for anything that is wrong anywhere.
    """
    found = joined(
        [
            *from_flags(options, Source(Origin.FLAG, home, environ, host_path)),
            *from_variables(Source(Origin.VARIABLE, home, environ, host_path)),
            *_from(project / PROJECT_FILE, Source(Origin.PROJECT, home, environ, host_path, project)),
            *_from(user_file(environ), Source(Origin.USER, home, environ, host_path, user_file(environ).parent)),
        ]
    )
    return {slot: setting for slot, setting in found.items() if setting.key.parameter in options}


def resolve_switch(name: str, environ: Mapping[str, str], project: Path | None, option: object) -> Setting | None:
    """One setting that must be known before the others can be read, whose paths depend on it."""
    key = BY_NAME[name]
    if isinstance(option, bool):
        return Setting(key, "", str(option).lower(), Origin.FLAG, key.flag)
    if text := environ.get(key.variable, ""):
        return Setting(key, "", str(parse_switch(text, key.variable)).lower(), Origin.VARIABLE, key.variable)
    places = [(project / PROJECT_FILE, Origin.PROJECT)] if project else []
    for path, origin in [*places, (user_file(environ), Origin.USER)]:
        file = read_file(path)
        value = file.table.get(name) if file else None
        if file and value is not None:
            place = file.place(name)
            return Setting(key, "", texts(key, value, f"{place}: {name}")[0], origin, place)
    return None


def _from(path: Path, source: Source) -> Iterator[Setting]:
    file = read_file(path)
    if file is not None:
        yield from from_file(file, source)
