"""Pure but for the paths it resolves: flags, environment variables and files' tables, each value checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import UsageError
from launcher.host_paths import expanded
from launcher.ports import valid_port
from launcher.settings import values
from launcher.settings.keys import KEYS, Key, Kind
from launcher.settings.setting import Origin, Setting
from launcher.spec import BindMount, GpuRequest, checked_name, distinct_mounts, parse_variables


@dataclass(frozen=True, slots=True)
class Source:
    """Where texts come from: `home` and `base` (None: the current directory) resolve paths, `environ` bare -e KEY."""

    origin: Origin
    home: Path
    environ: Mapping[str, str]
    base: Path | None = None


def from_flags(options: Mapping[str, object], source: Source) -> Iterator[Setting]:
    """What click parsed: text, true or false, tuples of text; None and () were not given."""
    for key in KEYS:
        value = options.get(key.parameter)
        shown = key.short or key.flag or "NAME"
        if isinstance(value, bool):
            yield Setting(key, "", str(value).lower(), source.origin, key.flag)
        elif value is not None:
            yield from checked(key, value if isinstance(value, tuple) else (str(value),), shown, source)


def from_variables(source: Source) -> Iterator[Setting]:
    """LAUNCHER_*: an empty one counts as not set; lists and tables have one entry a line."""
    for key in KEYS:
        text = source.environ.get(key.variable, "")
        if text:
            several = key.kind in (Kind.LIST, Kind.TABLE)
            entries = [line for line in text.splitlines() if line.strip()] if several else [text]
            yield from checked(key, entries, key.variable, source)


def checked(key: Key, texts: Iterable[str], where: str, source: Source, place: str = "") -> Iterator[Setting]:
    """One setting a text, in its one form; raises UsageError that names `where`. `place` is shown as its origin."""
    settings = [Setting(key, *_normal(key, text, where, source), source.origin, place or where) for text in texts]
    if key.name == "mounts":
        distinct_mounts(tuple(BindMount.parse(setting.text, source.home, where) for setting in settings), where)
    yield from settings


def _normal(key: Key, text: str, where: str, source: Source) -> tuple[str, str]:
    """(item, text): every way to write a value leads to the same text."""
    if key.name in ENTRIES:
        return ENTRIES[key.name](text, where, source)
    return "", SINGLE[key.name](text, where) if key.name in SINGLE else _KINDS[key.kind](key, text, where)


def _mount(text: str, where: str, source: Source) -> tuple[str, str]:
    mount = BindMount.parse(text, source.home, where, source.base)
    return mount.container, str(mount)


def _variable(text: str, where: str, source: Source) -> tuple[str, str]:
    ((name, value),) = parse_variables((text,), dict(source.environ), where).items()
    return name, value


def _key_file(text: str, where: str, source: Source) -> tuple[str, str]:
    path = (source.base or Path.cwd()) / expanded(text)
    if not path.is_file():
        raise UsageError(f"{where} {text!r} is not a file", "Give a file of public keys, such as ~/.ssh/id_ed25519.pub")
    return str(path), str(path)


def _apt(text: str, where: str, _: Source) -> tuple[str, str]:
    return values.apt_name(text), values.parse_apt(text, where)


def _pip(text: str, where: str, _: Source) -> tuple[str, str]:
    return values.pip_name(text), values.parse_pip(text, where)


def _stack(text: str, where: str) -> str:
    from launcher.stacks import find_stack

    try:
        return find_stack(text).name
    except UsageError as error:
        raise UsageError(f"{where}: {error.cause}", error.next_step) from None


def _port(text: str, where: str) -> str:
    try:
        number = int(text)
    except ValueError:
        raise UsageError(f"{where} {text!r} is not a number", "See: launcher up --help") from None
    return str(valid_port(number, where))


ENTRIES: Mapping[str, Callable[[str, str, Source], tuple[str, str]]] = {
    "mounts": _mount,
    "env": _variable,
    "keys": _key_file,
    "apt": _apt,
    "pip": _pip,
}
SINGLE: Mapping[str, Callable[[str, str], str]] = {
    "gpus": lambda text, where: str(GpuRequest.parse(text, where)),
    "port": _port,
    "name": lambda text, where: checked_name(text, "" if where == "NAME" else f"{where} "),
    "stack": _stack,
}
_KINDS: Mapping[Kind, Callable[[Key, str, str], str]] = {
    Kind.TEXT: lambda _, text, __: text,
    Kind.CHOICE: lambda key, text, where: values.parse_choice(text, where, key),
    Kind.SWITCH: lambda _, text, where: str(values.parse_switch(text, where)).lower(),
    Kind.SIZE: lambda _, text, where: values.size_text(values.parse_size(text, where)),
    Kind.CPUS: lambda _, text, where: f"{values.parse_cpus(text, where):.9f}".rstrip("0").rstrip("."),
    Kind.COUNT: lambda _, text, where: str(values.parse_count(text, where)),
}
