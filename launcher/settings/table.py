"""Pure: a file's table as texts, one a value; names and types are judged here, the texts like those of flags."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from launcher.errors import UsageError
from launcher.settings.files import SettingsFile
from launcher.settings.keys import BY_NAME, Key, Kind
from launcher.settings.reading import Source, checked
from launcher.settings.setting import Origin, Setting

SHAPES = {
    Kind.TEXT: "text in quotes",
    Kind.CHOICE: "text in quotes",
    Kind.SWITCH: "true or false, without quotes",
    Kind.SIZE: "text in quotes, a number and a unit",
    Kind.CPUS: "a number",
    Kind.COUNT: "a whole number",
    Kind.LIST: "a list of texts in quotes",
    Kind.TABLE: "a table of texts in quotes",
}


def from_file(file: SettingsFile, source: Source) -> Iterator[Setting]:
    """Every setting of a file; raises UsageError naming file, line and key for an unknown key or a wrong value."""
    for name, value in file.table.items():
        key = BY_NAME.get(name)
        if key is None:
            raise _unknown(file, name)
        if name == "name" and source.origin is Origin.USER:
            raise UsageError(
                f"{file.place(name)}: name would give every project the same environment",
                "Set it in a project's launcher.toml.",
            )
        where = f"{file.place(name)}: {name}"
        if key.kind is Kind.TABLE:
            yield from _variables(key, value, file, source)
        else:
            yield from checked(key, texts(key, value, where), where, source, file.place(name))


def _unknown(file: SettingsFile, name: str) -> UsageError:
    # By flag too: who knows --mount writes mount.
    names = {**{key.flag[2:]: key.name for key in BY_NAME.values() if key.flag}, **{key: key for key in BY_NAME}}
    close = get_close_matches(name.lower().replace("_", "-"), names, n=1)
    hint = f"Did you mean {names[close[0]]}?" if close else f"There are: {', '.join(BY_NAME)}"
    return UsageError(f"{file.place(name)}: there is no setting {name!r}", hint)


def texts(key: Key, value: object, where: str) -> list[str]:
    """A file's value as flags would have it; raises UsageError, naming `where`, for one of another type."""
    if key.kind is Kind.LIST and isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return list(value)
    if _fits(key, value):
        return [str(value).lower() if isinstance(value, bool) else str(value)]
    raise _wrong_type(key, where, f"{key.name} = {key.example}")


def _fits(key: Key, value: object) -> bool:
    if isinstance(value, bool) or key.kind is Kind.SWITCH:
        return isinstance(value, bool) and key.kind is Kind.SWITCH
    if isinstance(value, int):
        return key.kind in (Kind.COUNT, Kind.CPUS) or key.name == "gpus"
    if isinstance(value, float):
        return key.kind is Kind.CPUS
    return isinstance(value, str) and key.kind in (Kind.TEXT, Kind.CHOICE, Kind.SIZE)


def _variables(key: Key, value: object, file: SettingsFile, source: Source) -> Iterator[Setting]:
    where = f"{file.place(key.name)}: {key.name}"
    if not isinstance(value, dict):
        raise _wrong_type(key, where, f"[env] on a line of its own, then {key.example}")
    for name, content in value.items():
        place = f"{file.place(name, key.name)}: {key.name}"
        if name in BY_NAME and file.below_header(key.name):
            raise UsageError(
                f"{place}: {name} stands below [{key.name}], so it would be an environment variable",
                f"Move it above [{key.name}]. A variable of that name is given by -e {name}=VALUE.",
            )
        if isinstance(content, bool) or not isinstance(content, str | int) or "\0" in str(content):
            raise UsageError(f"{place}: {name} must be {SHAPES[Kind.TEXT]}", f'Example: {name} = "1"')
        # The key is checked with the pair; a key of several words must not become another key and value.
        if "=" in name:
            raise UsageError(f"{place}: {name!r} cannot be a variable's name", f"Example: {key.example}")
        yield from checked(key, (f"{name}={content}",), place, source, file.place(name, key.name))


def _wrong_type(key: Key, where: str, example: str) -> UsageError:
    return UsageError(f"{where} must be {SHAPES[key.kind]}", f"Example: {example}")
