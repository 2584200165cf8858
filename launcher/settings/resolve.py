"""Every place where settings may be, read and joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from launcher.settings.files import PROJECT_FILE, read_file, user_file
from launcher.settings.reading import Source, from_flags, from_variables
from launcher.settings.setting import Origin, Setting, joined
from launcher.settings.table import from_file
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


def _from(path: Path, source: Source) -> Iterator[Setting]:
    file = read_file(path)
    if file is not None:
        yield from from_file(file, source)
