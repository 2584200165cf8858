"""One value of one setting, from one place; and how the places are joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from launcher.settings.keys import Key, Kind


class Origin(str, Enum):
    """Where a value comes from, the strongest first."""

    FLAG = "flag"
    VARIABLE = "variable"
    PROJECT = "project file"
    USER = "user file"

    @property
    def is_file(self) -> bool:
        """True for what stays in force without being said again."""
        return self in (Origin.PROJECT, Origin.USER)


STRONGEST_FIRST = tuple(Origin)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value in its only text form; `item` tells apart the entries of a list or table, `place` is shown to people.

    `file_text` is what the files say of it, also where a flag or variable is stronger; None when they say nothing.
    """

    key: Key
    item: str
    text: str
    origin: Origin
    place: str
    file_text: str | None = None

    @property
    def slot(self) -> str:
        """What two settings must share for the stronger to replace the weaker."""
        return f"{self.key.name}:{self.item}" if self.key.kind in (Kind.LIST, Kind.TABLE) else self.key.name


Settings = Mapping[str, Setting]


def joined(given: Iterable[Setting]) -> dict[str, Setting]:
    """Slot -> the strongest setting. Entries come in the order user file, project file, variable, flag."""
    weakest_first = sorted(given, key=lambda setting: -STRONGEST_FIRST.index(setting.origin))
    found: dict[str, Setting] = {}
    for setting in weakest_first:
        below = found.get(setting.slot)
        said = setting.text if setting.origin.is_file else below.file_text if below else None
        found[setting.slot] = replace(setting, file_text=said)
    return found
