"""Every place where settings may be, read and joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from launcher.settings.files import PROJECT_FILE, read_file, user_file
from launcher.settings.reading import Source, from_flags, from_variables
from launcher.settings.setting import Origin, Setting, joined
from launcher.settings.table import from_file


def resolve(environ: Mapping[str, str], home: Path, project: Path, options: Mapping[str, object]) -> dict[str, Setting]:
    """Slot -> setting: flags before variables before launcher.toml before the user's config.toml.

    A setting that `options` has no parameter for is left out. Raises UsageError for anything that is wrong anywhere.
    """
    found = joined(
        [
            *from_flags(options, Source(Origin.FLAG, home, environ)),
            *from_variables(Source(Origin.VARIABLE, home, environ)),
            *_from(project / PROJECT_FILE, Origin.PROJECT, environ, home),
            *_from(user_file(environ), Origin.USER, environ, home),
        ]
    )
    return {slot: setting for slot, setting in found.items() if setting.key.parameter in options}


def _from(path: Path, origin: Origin, environ: Mapping[str, str], home: Path) -> Iterator[Setting]:
    file = read_file(path)
    if file is not None:
        yield from from_file(file, Source(origin, home, environ, base=path.parent))
