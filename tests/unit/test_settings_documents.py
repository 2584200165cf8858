"""Template, schema, README and options say what the declaration says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from launcher import toml
from launcher.cli.up import up
from launcher.errors import UsageError
from launcher.settings.documents import SCHEMA_FILE, readme_table, schema, schema_text, template
from launcher.settings.files import SettingsFile
from launcher.settings.keys import KEYS, Key, Kind
from launcher.settings.reading import Source
from launcher.settings.setting import Origin
from launcher.settings.table import from_file
from launcher.settings.write import write_template

ROOT = Path(__file__).resolve().parents[2]


def test_the_template_says_nothing_and_with_a_mode_only_that() -> None:
    assert toml.loads(template()) == {}
    assert toml.loads(template("ssh")) == {"mode": "ssh"}


def test_every_example_of_the_template_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uncommented as a whole, with the files it speaks of replaced by some that are there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/laptop.pub").touch()
    for name in ("data", "imagenet"):
        (tmp_path / name).mkdir()
    text = re.sub(r"(?m)^# ((\w[\w-]* = |\[).*)$", r"\1", template()).replace(
        "/datasets/imagenet", f"{tmp_path}/imagenet"
    )
    file = SettingsFile(tmp_path / "launcher.toml", text, toml.loads(text))
    assert set(file.table) == {key.name for key in KEYS}
    found = list(from_file(file, Source(Origin.PROJECT, tmp_path, {}, base=tmp_path)))
    assert {setting.key.name for setting in found} == {key.name for key in KEYS}


def test_the_shipped_schema_is_the_declarations() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run: python -m launcher.settings.documents"
    assert set(schema()["properties"]) == {key.name for key in KEYS}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_the_schema_takes_the_example_of_each_key(key: Key) -> None:
    example = toml.loads(f"[env]\n{key.example}" if key.kind is Kind.TABLE else f"{key.name} = {key.example}")
    declared = schema()["properties"][key.name]
    types = {str: "string", bool: "boolean", int: ("integer", "number"), float: "number", list: "array", dict: "object"}
    value = example[key.name]
    assert value in declared["enum"] if "enum" in declared else _named(types[type(value)], declared["type"])
    assert re.search(declared.get("pattern", ""), str(value))


def _named(expected: object, declared: object) -> bool:
    names = set(declared) if isinstance(declared, list) else {declared}
    return bool(names & (set(expected) if isinstance(expected, tuple) else {expected}))


def test_the_readme_has_the_table() -> None:
    assert readme_table() in (ROOT / "README.md").read_text(encoding="utf-8"), (
        "run: python -m launcher.settings.documents"
    )


def test_up_has_an_option_for_every_setting() -> None:
    options = {name for parameter in up.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {key.flag for key in KEYS if key.flag} <= options and "name" in options


def test_init_writes_once_and_replaces_only_when_told(tmp_path: Path) -> None:
    path = write_template(tmp_path, None, force=False)
    assert toml.loads(path.read_text()) == {} and path == tmp_path / "launcher.toml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write_template(tmp_path, "ssh", force=False)
    assert path.read_text() == "mine"
    write_template(tmp_path, "ssh", force=True)
    assert toml.loads(path.read_text()) == {"mode": "ssh"}
    assert [path.name for path in tmp_path.iterdir()] == ["launcher.toml"]


@pytest.mark.parametrize("force", [False, True])
def test_init_writes_through_no_link(tmp_path: Path, force: bool) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    project = tmp_path / "project"
    project.mkdir()
    (project / "launcher.toml").symlink_to(victim)
    with pytest.raises(UsageError, match="is a link"):
        write_template(project, None, force)
    assert victim.read_text() == "precious"
