"""`launcher config` and `launcher init` as processes of their own, where no engine is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from launcher.settings.documents import schema
from launcher.settings.keys import KEYS
from tests.faults.launching import Launcher, assert_refused


@pytest.fixture
def launcher(tmp_path: Path) -> Launcher:
    return Launcher(tmp_path, {"DOCKER_HOST": "unix:///nonexistent.sock"})


def test_init_writes_a_file_that_config_reads_and_never_replaces_it_unasked(launcher: Launcher) -> None:
    path = launcher.project / "launcher.toml"
    assert launcher.run("init", "--mode", "ssh").stdout == f"{path}\n"
    path.write_text(path.read_text() + "# mine\n")
    assert_refused(launcher.run("init"), 2, "exists already", "--force")
    assert path.read_text().endswith("# mine\n") and path.stat().st_uid == os.getuid()
    assert launcher.json("config")["settings"]["mode"]["value"] == "ssh"
    assert launcher.json("init", "--force") == {"path": str(path)}
    assert launcher.json("config")["settings"]["mode"] == {"value": None, "origin": "default", "place": "default"}


def test_config_shows_every_setting_with_its_origin(launcher: Launcher, user_directories: Path) -> None:
    (launcher.project / "launcher.toml").write_text('memory = "1g"\ncpus = 2\n[env]\nA = "1"\n')
    launcher.environ |= {"LAUNCHER_PIDS": "99", "LAUNCHER_APT": "git\njq"}
    found = launcher.json("config", "--memory", "2g", "--share")
    assert found["project"] == str(launcher.project)
    assert [(file["path"], file["found"]) for file in found["files"]] == [
        (f"{launcher.project}/launcher.toml", True),
        (f"{user_directories}/.config/gpu-launcher/config.toml", False),
    ]
    settings = found["settings"]
    assert set(settings) == {key.name for key in KEYS}
    assert settings["memory"] == {"value": "2g", "origin": "flag", "place": "--memory"}
    assert settings["share"] == {"value": True, "origin": "flag", "place": "--share"}
    assert settings["pids"] == {"value": 99, "origin": "variable", "place": "LAUNCHER_PIDS"}
    assert settings["cpus"] == {
        "value": 2.0,
        "origin": "project file",
        "place": f"{launcher.project}/launcher.toml, line 2",
    }
    assert settings["env"]["A"]["place"].endswith("line 4")
    assert [entry["value"] for entry in settings["apt"]] == ["git", "jq"]
    assert settings["restart"] == {"value": "unless-stopped", "origin": "default", "place": "default"}
    table = launcher.run("config", "--memory", "2g").stdout.splitlines()
    assert table[0].split() == ["SETTING", "VALUE", "FROM"]
    assert ["memory", "2g", "--memory"] in [line.split() for line in table]


def test_config_prints_the_schema(launcher: Launcher) -> None:
    assert json.loads(launcher.run("config", "--schema").stdout) == schema()
