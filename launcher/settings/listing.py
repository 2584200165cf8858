"""Pure: every setting with its value and origin, for `launcher config`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from launcher.settings.keys import KEYS, Key, Kind
from launcher.settings.setting import Setting, Settings

Row = tuple[str, str, str]


def rows(settings: Settings) -> Iterator[Row]:
    """(setting, value, where it comes from); one row an entry of a list or table, defaults included."""
    for key in KEYS:
        found = [setting for setting in settings.values() if setting.key.name == key.name]
        if not found:
            yield key.name, key.default, "default"
        for setting in found:
            value = f"{setting.item}={setting.text}" if key.kind is Kind.TABLE else setting.text
            yield key.name, value, setting.place


def settings_json(settings: Settings) -> dict[str, Any]:
    """Key -> {value, origin, place}; a list of them for a list, an object of them for a table; null: nobody gave it."""
    return {key.name: _json(key, [s for s in settings.values() if s.key.name == key.name]) for key in KEYS}


def _json(key: Key, found: list[Setting]) -> Any:  # noqa: ANN401 (whatever JSON has)
    if key.kind is Kind.LIST:
        return [_entry(setting) for setting in found]
    if key.kind is Kind.TABLE:
        return {setting.item: _entry(setting) for setting in found}
    if found:
        return _entry(found[0])
    return {"value": typed(key, key.default) if key.default_is_value else None, "origin": "default", "place": "default"}


def _entry(setting: Setting) -> dict[str, Any]:
    return {
        "value": typed(setting.key, setting.text),
        "origin": setting.origin.value,
        "place": setting.place,
    }


def typed(key: Key, text: str) -> str | int | float | bool:
    """As a file would say it."""
    if key.kind is Kind.SWITCH:
        return text == "true"
    if key.kind is Kind.COUNT:
        return int(text)
    return float(text) if key.kind is Kind.CPUS else text
