"""Which of two places wins, and how lists and tables add up."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from launcher.context import Context
from launcher.host_paths import host_path_check
from launcher.request import make_request
from launcher.settings.keys import BY_NAME, KEYS, Kind
from launcher.settings.resolve import resolve
from launcher.settings.setting import Origin, Setting

STRONGEST_FIRST = ("flag", "variable", "project file", "user file")
# Two values each, as flag or variable, and as a file says them.
VALUES = {
    "mode": (("jupyter", '"jupyter"'), ("ssh", '"ssh"')),
    "gpus": (("none", '"none"'), ("2", "2")),
    "share": (("true", "true"), ("false", "false")),
    "port": (("8890", "8890"), ("8891", "8891")),
    "memory": (("16g", '"16g"'), ("512m", '"512m"')),
    "cpus": (("4", "4"), ("0.5", "0.5")),
    "shm-size": (("8g", '"8g"'), ("1g", '"1g"')),
    "pids": (("512", "512"), ("1024", "1024")),
    "restart": (("no", '"no"'), ("on-failure", '"on-failure"')),
    "stack": (("cu128", '"cu128"'), ("cu126", '"cu126"')),
    "sync": (("true", "true"), ("false", "false")),
    "skip-check": (("false", "false"), ("true", "true")),
}
PLACES = {
    "flag": lambda key, project: key.short or key.flag or "NAME",
    "variable": lambda key, project: key.variable,
    "project file": lambda key, project: f"{project}/launcher.toml, line 1",
    "user file": lambda key, project: f"{project.parent}/config/gpu-launcher/config.toml, line 1",
}


class Places:
    """Four places to write to; `read` joins them."""

    def __init__(self, directory: Path) -> None:
        self.project = directory / "project"
        self.user = directory / "config/gpu-launcher"
        self.home = directory / "home"
        for path in (self.project, self.user, self.home):
            path.mkdir(parents=True)
        self.environ = {"XDG_CONFIG_HOME": str(directory / "config"), "HOME": str(self.home)}
        self.options: dict[str, object] = {key.parameter: None for key in KEYS}

    def say(self, origin: str, name: str, text: str, toml: str) -> None:
        key = BY_NAME[name]
        if origin == "flag":
            switch = key.kind is Kind.SWITCH
            self.options[key.parameter] = text == "true" if switch else text
        elif origin == "variable":
            self.environ[key.variable] = text
        else:
            self.write(origin, f"{name} = {toml}\n")

    def write(self, origin: str, text: str) -> None:
        path = self.project / "launcher.toml" if origin == "project file" else self.user / "config.toml"
        path.write_text(text, encoding="utf-8")

    def read(self) -> dict[str, Setting]:
        return resolve(self.environ, self.home, host_path_check(self.home), self.project, self.options)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_the_table_below_has_every_setting_with_one_value() -> None:
    single = {key.name for key in KEYS if key.kind not in (Kind.LIST, Kind.TABLE)}
    assert set(VALUES) == single - {"name"}


@pytest.mark.parametrize(("strong", "weak"), list(combinations(STRONGEST_FIRST, 2)))
@pytest.mark.parametrize("name", VALUES)
def test_the_stronger_place_wins_and_is_named(places: Places, name: str, strong: str, weak: str) -> None:
    first, second = VALUES[name]
    places.say(strong, name, *first)
    places.say(weak, name, *second)
    found = places.read()[name]
    key = BY_NAME[name]
    place = key.flag if strong == "flag" else PLACES[strong](key, places.project)
    assert (found.text, found.origin.value, found.place) == (first[0], strong, place)
    places.say(strong, name, *second)
    places.say(weak, name, *first)
    assert places.read()[name].text == second[0]


def test_the_projects_name_loses_to_the_argument(places: Places) -> None:
    places.write("project file", 'name = "mine"\n')
    assert places.read()["name"].text == "mine"
    places.options["name"] = "other"
    assert places.read()["name"].text == "other"


def test_nobody_gave_anything(places: Places) -> None:
    assert places.read() == {}
    places.environ["LAUNCHER_MEMORY"] = ""
    assert places.read() == {}, "an empty variable counts as not set"


def test_lists_and_variables_add_up_and_the_stronger_replaces_its_own_entry(places: Places) -> None:
    for name in ("a", "b", "c"):
        (places.project / name).mkdir()
    places.write("user file", 'apt = ["git", "jq"]\npip = ["Some_Pkg==1", "einops"]\n[env]\nA = "user"\nB = "user"\n')
    places.write(
        "project file",
        'apt = ["git=1:2.39"]\npip = ["some-pkg>=2"]\nmounts = ["a:/d", "b:/e"]\n[env]\nB = "project"\nC = "project"\n',
    )
    places.environ |= {"LAUNCHER_PIP": "einops>=0.8\n\nrich", "LAUNCHER_ENV": "C=variable\nD= two words "}
    places.options |= {"mounts": (f"{places.project}/c:/d:ro",), "variables": ("D=flag",)}
    found = places.read()
    assert {slot: setting.text for slot, setting in found.items()} == {
        "apt:git": "git=1:2.39",
        "apt:jq": "jq",
        "pip:some-pkg": "some-pkg>=2",
        "pip:einops": "einops>=0.8",
        "pip:rich": "rich",
        "mounts:/d": f"{places.project}/c:/d:ro",
        "mounts:/e": f"{places.project}/b:/e",
        "env:A": "user",
        "env:B": "project",
        "env:C": "variable",
        "env:D": "flag",
    }
    assert found["mounts:/d"].origin is Origin.FLAG and found["env:B"].place.endswith("launcher.toml, line 5")


def test_relative_mounts_of_a_file_start_at_the_file(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    (places.project / "data").mkdir()
    (places.user / "data").mkdir()
    monkeypatch.chdir(places.home)
    places.write("project file", 'mounts = ["data", "./data:/here"]\n')
    places.write("user file", 'mounts = ["data:/mine"]\n')
    hosts = {slot: setting.text.split(":")[0] for slot, setting in places.read().items()}
    assert hosts == {
        "mounts:/mnt/data": str(places.project / "data"),
        "mounts:/here": str(places.project / "data"),
        "mounts:/mine": str(places.user / "data"),
    }


def test_values_of_variables_arrive_unchanged(places: Places) -> None:
    places.write(
        "project file",
        "[env]\n"
        'A = " spaced \'q\' \\"d\\" $HOME # no comment "\nB = "one\\ntwo"\nC = \'C:\\raw\'\nD = "ü – 中"\nE = 4\n',
    )
    found = {setting.item: setting.text for setting in places.read().values()}
    assert found == {
        "A": " spaced 'q' \"d\" $HOME # no comment ",
        "B": "one\ntwo",
        "C": "C:\\raw",
        "D": "ü – 中",
        "E": "4",
    }


def test_every_setting_reaches_the_request(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    (places.project / "data").mkdir()
    (places.project / "id.pub").touch()
    places.write(
        "project file",
        'mode = "ssh"\nname = "demo"\ngpus = 2\nshare = true\nport = 8890\nmemory = "1.5g"\ncpus = 0.5\n'
        'shm-size = "64m"\n'
        'pids = 99\nrestart = "no"\nstack = "cu126"\nskip-check = true\nmounts = ["data:/d:ro"]\napt = ["git"]\n'
        'pip = ["rich"]\nkeys = ["id.pub"]\n[env]\nA = "1"\n',
    )
    request = make_request(Context(environ=places.environ), project=str(places.project), **places.options)
    assert (request.name, request.mode.value, str(request.gpus), request.share) == ("demo", "ssh", "2", True)
    assert (request.port, request.memory_bytes, request.cpus, request.shm_bytes) == (8890, 3 << 29, 0.5, 64 << 20)
    assert (request.pids, request.restart, request.stack, request.skip_check) == (99, "no", "cu126", True)
    assert [str(mount) for mount in request.mounts] == [f"{places.project}/data:/d:ro"]
    assert (request.apt, request.pip, request.keys) == (("git",), ("rich",), (places.project / "id.pub",))
    assert request.variables == (("A", "1"),)


def test_a_verb_without_the_option_does_not_get_the_setting(places: Places) -> None:
    places.write("project file", 'mode = "ssh"\nmemory = "1g"\nport = 99\n')
    options = {key.parameter: None for key in KEYS if key.train}
    request = make_request(Context(environ=places.environ), project=str(places.project), name=None, **options)
    assert (request.mode.value, request.port, request.memory_bytes) == ("jupyter", None, 1 << 30)
