"""Pure: the settings an environment was made with, as a label; and what differs from what is wanted now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from launcher.settings.keys import BY_NAME, Kind
from launcher.settings.setting import Origin, Setting, Settings

# They say how to start or find a container, not what it is.
NOT_OF_THE_CONTAINER = ("mode", "name", "share", "skip-check")
# Whether others are meant depends on the machine, and on the port that was chosen.
JUDGED_ELSEWHERE = ("gpus", "port")
# The launcher sets it itself, whatever was asked for.
OWN_VARIABLES = ("NVIDIA_VISIBLE_DEVICES",)


def record_json(settings: Iterable[Setting]) -> str:
    """The label's text. Of environment variables the names only: anybody who may list containers reads labels."""
    record: dict[str, dict[str, str]] = {}
    for setting in settings:
        if setting.key.name in NOT_OF_THE_CONTAINER or setting.item in OWN_VARIABLES:
            continue
        entry = {"origin": setting.origin.value}
        if setting.key.kind is not Kind.TABLE:
            entry["value"] = setting.text
            if setting.file_text is not None and setting.file_text != setting.text:
                entry["file"] = setting.file_text
        record[setting.slot] = entry
    return json.dumps(record)


def read_record(label: str, environment: Mapping[str, str]) -> dict[str, Setting]:
    """What record_json wrote; the variables' values come from the container's `environment`.

    Nothing for a label of an older form: such an environment counts as made without settings.
    """
    try:
        record = json.loads(label)
        return dict(_entries(record if isinstance(record, dict) else {}, environment))
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _entries(record: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[tuple[str, Setting]]:
    for slot, entry in record.items():
        name, _, item = slot.partition(":")
        key, origin = BY_NAME[name], Origin(entry["origin"])
        text = environment.get(item, "") if key.kind is Kind.TABLE else str(entry["value"])
        file_text = entry.get("file", text if origin.is_file else None)
        yield slot, Setting(key, item, text, origin, "the environment that is there", file_text)


def wanted(now: Settings, recorded: Settings) -> dict[str, Setting]:
    """What is given now over what was given when the environment was made.

    A flag or variable of then stays in force until it is given again or the files say something new; a line that left
    a file is gone.
    """
    result: dict[str, Setting] = {}
    for slot in dict.fromkeys([*recorded, *now]):
        given, old = now.get(slot), recorded.get(slot)
        said = given.file_text if given else None
        sticky = old is not None and not old.origin.is_file and (old.key.kind is Kind.TABLE or said == old.file_text)
        if old is not None and sticky and (given is None or given.origin.is_file):
            result[slot] = old
        elif given is not None:
            result[slot] = given
    return result


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is not what it was; texts of environment variables are never shown."""

    name: str
    before: str
    after: str

    def line(self) -> str:
        """As a user reads it."""
        return f"{self.name}: {self.before} -> {self.after}"


def differences(recorded: Settings, now: Settings, defaults: Mapping[str, str]) -> list[Difference]:
    """One a setting whose effective value changes; `defaults` are those of settings nobody gave."""
    found = []
    for slot in dict.fromkeys([*recorded, *now]):
        setting = now.get(slot) or recorded[slot]
        key = setting.key
        if key.name in JUDGED_ELSEWHERE + NOT_OF_THE_CONTAINER or setting.item in OWN_VARIABLES:
            continue
        before, after = (_text(side.get(slot), defaults.get(key.name)) for side in (recorded, now))
        if before != after:
            found.append(_difference(setting, before, after))
    return found


def _text(setting: Setting | None, default: str | None) -> str | None:
    return setting.text if setting else default


def _difference(setting: Setting, before: str | None, after: str | None) -> Difference:
    name = setting.key.name
    if setting.key.kind is Kind.TABLE:
        return Difference(f"{name} {setting.item}", *_hidden(before, after))
    if name == "mounts":
        # The place in the container stands in the line's name already.
        sides = [
            side and side.replace(f":{setting.item}", "", 1).replace(":ro", " (read-only)") for side in (before, after)
        ]
        return Difference(f"{name} {setting.item}", sides[0] or "nothing", sides[1] or "nothing")
    default = "nothing" if setting.key.kind is Kind.LIST else setting.key.default
    return Difference(name, before or default, after or default)


def _hidden(before: str | None, after: str | None) -> tuple[str, str]:
    return ("not set" if before is None else "set"), (
        "not set" if after is None else "another value" if before is not None else "set"
    )
