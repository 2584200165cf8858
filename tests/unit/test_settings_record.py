"""What an environment remembers of its settings, and what `up` calls a difference."""

from __future__ import annotations

import pytest

from launcher.settings.keys import BY_NAME
from launcher.settings.record import differences, read_record, record_json, wanted
from launcher.settings.setting import Origin, Setting, joined

FLAG, VARIABLE, PROJECT, USER = Origin
DEFAULTS = {"restart": "unless-stopped", "stack": "cu128"}
Said = dict[str, tuple[str, Origin]]


def settings(said: Said, files: dict[str, str] | None = None) -> dict[str, Setting]:
    """Slot -> setting, from slot -> (text, origin); `files` is what launcher.toml says besides."""
    rows = [*said.items(), *((slot, (text, PROJECT)) for slot, text in (files or {}).items())]
    return joined(Setting(BY_NAME[slot.partition(":")[0]], slot.partition(":")[2], *row, "x") for slot, row in rows)


def lines(made: dict[str, Setting], now: dict[str, Setting]) -> list[str]:
    """The differences, by way of the label and the container's environment as they would be."""
    environment = {setting.item: setting.text for setting in made.values() if setting.key.name == "env"}
    recorded = read_record(record_json(made.values()), environment)
    return [difference.line() for difference in differences(recorded, wanted(now, recorded), DEFAULTS)]


CASES: dict[str, tuple[dict[str, Setting], dict[str, Setting], list[str]]] = {
    "the same": (settings({"memory": ("8g", FLAG)}), settings({"memory": ("8g", FLAG)}), []),
    "nothing said again": (settings({"memory": ("8g", FLAG), "env:A": ("1", FLAG)}), settings({}), []),
    "a variable of the shell is gone": (settings({"memory": ("8g", VARIABLE)}), settings({}), []),
    "another flag": (settings({"memory": ("8g", FLAG)}), settings({"memory": ("16g", FLAG)}), ["memory: 8g -> 16g"]),
    "a first flag": (settings({}), settings({"memory": ("16g", FLAG)}), ["memory: no limit -> 16g"]),
    "the default, said": (settings({}), settings({"restart": ("unless-stopped", FLAG), "stack": ("cu128", USER)}), []),
    "a policy": (settings({}), settings({"restart": ("no", PROJECT)}), ["restart: unless-stopped -> no"]),
    "a changed file": (settings({"cpus": ("2", PROJECT)}), settings({"cpus": ("4", PROJECT)}), ["cpus: 2 -> 4"]),
    "a line gone from the file": (settings({"cpus": ("2", USER)}), settings({}), ["cpus: 2 -> no limit"]),
    "the same value from elsewhere": (settings({"cpus": ("2", USER)}), settings({"cpus": ("2", FLAG)}), []),
    "a flag over an unchanged file": (
        settings({"memory": ("16g", FLAG)}, {"memory": "8g"}),
        settings({}, {"memory": "8g"}),
        [],
    ),
    "a flag over a file that changed": (
        settings({"memory": ("16g", FLAG)}, {"memory": "8g"}),
        settings({}, {"memory": "12g"}),
        ["memory: 16g -> 12g"],
    ),
    "a flag over a new line": (
        settings({"memory": ("16g", FLAG)}),
        settings({}, {"memory": "12g"}),
        ["memory: 16g -> 12g"],
    ),
    "lists": (
        settings({"apt:git": ("git", PROJECT), "pip:rich": ("rich==1", PROJECT), "apt:jq": ("jq", FLAG)}),
        settings({"pip:rich": ("rich==2", PROJECT)}),
        ["apt: git -> nothing", "pip: rich==1 -> rich==2"],
    ),
    "mounts": (
        settings({"mounts:/d": ("/a:/d", PROJECT)}),
        settings({"mounts:/d": ("/a:/d:ro", PROJECT), "mounts:/e": ("/b:/e", FLAG)}),
        ["mounts /d: /a -> /a (read-only)", "mounts /e: nothing -> /b"],
    ),
    "values of variables stay hidden": (
        settings({"env:A": ("old", PROJECT), "env:B": ("old", PROJECT), "env:C": ("same", PROJECT)}),
        settings({"env:A": ("new", PROJECT), "env:C": ("same", PROJECT), "env:D": ("new", FLAG)}),
        ["env A: set -> another value", "env B: set -> not set", "env D: not set -> set"],
    ),
    "how, not what": (
        settings({}),
        settings({"mode": ("ssh", FLAG), "name": ("x", FLAG), "share": ("true", FLAG), "skip-check": ("true", FLAG)}),
        [],
    ),
    "a variable that the launcher sets itself": (
        settings({}),
        settings({"env:NVIDIA_VISIBLE_DEVICES": ("all", FLAG)}),
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_differences(case: str) -> None:
    made, now, expected = CASES[case]
    assert lines(made, now) == expected


def test_what_was_given_before_is_kept_in_the_replacement() -> None:
    made = settings({"mounts:/d": ("/a:/d", FLAG), "env:A": ("1", FLAG), "pids": ("99", VARIABLE)})
    now = settings({"memory": ("16g", FLAG)})
    assert {slot: s.text for slot, s in wanted(now, made).items()} == {
        "mounts:/d": "/a:/d",
        "env:A": "1",
        "pids": "99",
        "memory": "16g",
    }


@pytest.mark.parametrize("label", ["", "0123456789abcdef", "[]", "null", '{"a": 1}', '{"memory": {}}', '{"memory": 1}'])
def test_a_label_of_another_form_counts_as_no_settings(label: str) -> None:
    assert read_record(label, {}) == {}
