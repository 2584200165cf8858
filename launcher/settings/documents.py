"""Pure: what is written from the declaration: launcher.toml's template, the schema for editors, the README's table.

`python -m launcher.settings.documents` brings launcher.schema.json up to date and prints the README's table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from launcher.settings.keys import KEYS, Key, Kind
from launcher.settings.values import MOST_PROCESSES
from launcher.spec import VARIABLE_PATTERN

SCHEMA_FILE = Path(__file__).with_name("launcher.schema.json")
HEADING = """\
# Settings of this project for gpu-launcher. A line that begins with # does nothing; what it shows is an example.
# Stronger than this file: flags of `launcher up`, then LAUNCHER_* variables. Weaker: your own gpu-launcher/config.toml.
# What is in force, and why: launcher config. For completion in an editor: launcher config --schema > FILE, and as the
# first line here: #:schema ./FILE
"""


def template(mode: str | None = None) -> str:
    """A launcher.toml that says nothing, or the mode alone; every key with its meaning and default."""
    return "\n".join([HEADING, *(_lines(key, mode) for key in KEYS)])


def _lines(key: Key, mode: str | None) -> str:
    comment = f"# {key.help} Default: {key.default}.\n"
    if key.kind is Kind.TABLE:
        return f"{comment}# Keep this last: whatever follows belongs to it.\n# [{key.name}]\n# {key.example}\n"
    if key.name == "mode" and mode is not None:
        return f'{comment}{key.name} = "{mode}"\n'
    choices = f"# One of: {', '.join(key.choices)}.\n" if key.choices else ""
    return f"{comment}{choices}# {key.name} = {key.example}\n"


def schema() -> dict[str, Any]:
    """JSON Schema (draft 7, which editors' TOML extensions read) of launcher.toml."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "launcher.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: {"description": _description(key), **_type(key)} for key in KEYS},
    }


def _description(key: Key) -> str:
    return f"{key.help} Default: {key.default}."


def _type(key: Key) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string", "minLength": 1}
    types: dict[Kind, dict[str, Any]] = {
        Kind.TEXT: text,
        Kind.CHOICE: {"enum": list(key.choices)},
        Kind.SWITCH: {"type": "boolean"},
        Kind.SIZE: {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?[kmgtKMGT]([iI]?[bB])?$"},
        Kind.CPUS: {"type": "number", "minimum": 0.01},
        Kind.COUNT: {"type": "integer", "minimum": 1, "maximum": 65535 if key.name == "port" else MOST_PROCESSES},
        Kind.LIST: {"type": "array", "items": text},
        Kind.TABLE: {
            "type": "object",
            "propertyNames": {"pattern": f"^{VARIABLE_PATTERN.pattern}$"},
            "additionalProperties": {"type": ["string", "integer"]},
        },
    }
    return {"type": ["string", "integer"]} if key.name == "gpus" else types[key.kind]


def schema_text() -> str:
    """The shipped file's whole content."""
    return json.dumps(schema(), indent=2) + "\n"


def readme_table() -> str:
    """One row a setting, for the README."""
    rows = ["| in a file | flag | variable | meaning | default |", "|---|---|---|---|---|"]
    for key in KEYS:
        flag = f"`{key.short}`, `{key.flag}`" if key.short else f"`{key.flag}`" if key.flag else "`NAME`"
        shown = f"[env] {key.example}" if key.kind is Kind.TABLE else f"{key.name} = {key.example}"
        default = f"`{key.default}`" if "<" in key.default else key.default
        rows.append(f"| `{shown}` | {flag} | `{key.variable}` | {key.help} | {default} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    print(readme_table(), end="")
