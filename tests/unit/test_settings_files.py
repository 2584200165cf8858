"""Wrong settings: each is one line that names file, line and key, and one that says what to write instead."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from launcher.errors import UsageError
from launcher.host_paths import host_path_check
from launcher.settings.files import read_file
from launcher.settings.keys import BY_NAME, KEYS
from launcher.settings.reading import Source, from_variables
from launcher.settings.resolve import resolve
from launcher.settings.setting import Origin

WRONG = {
    "unknown key": ('memory = "1g"\nmemroy = "1g"', "line 2: there is no setting 'memroy'", "Did you mean memory"),
    "a flag's name": ('mount = ["data"]', "line 1: there is no setting 'mount'", "Did you mean mounts"),
    "an underscore": ('shm_size = "1g"', "line 1: there is no setting 'shm_size'", "Did you mean shm-size"),
    "like no other": ("zzz = 1", "line 1: there is no setting 'zzz'", "There are: mode, name, gpus"),
    "unknown table": ("[limits]\nmemory = 1", "line 1: there is no setting 'limits'", "There are"),
    "mode": ('mode = "jupiter"', "line 1: mode 'jupiter' is not one of jupyter, ssh", "Did you mean jupyter"),
    "mode, a number": ("mode = 1", "line 1: mode must be text in quotes", 'mode = "jupyter"'),
    "name": ('name = "My Name"', "line 1: name 'My Name' cannot be", "lower-case"),
    "gpus": ('gpus = "many"', "line 1: gpus 'many' names no GPUs", "auto, all, none"),
    "gpus, none of them": ("gpus = 0", "line 1: gpus 0 asks for no GPU", "none for the CPU"),
    "gpus, a list": ("gpus = [0, 1]", "line 1: gpus must be text in quotes", 'gpus = "auto"'),
    "share": ('share = "yes"', "line 1: share must be true or false", "share = true"),
    "port": ("port = 0", "line 1: port 0 is not a TCP port", "1024 to 65535"),
    "port, text": ('port = "8888"', "line 1: port must be a whole number", "port = 8888"),
    "memory without a unit": ('memory = "16"', "line 1: memory '16' is not a size", "for example 16g"),
    "memory, a number": ("memory = 16", "line 1: memory must be text in quotes, a number and a unit", '"16g"'),
    "memory, too little": ('memory = "1k"', "line 1: memory '1k' is too small", "at least 6m"),
    "memory, negative": ('memory = "-1g"', "line 1: memory '-1g' is not a size", "a number and a unit"),
    "cpus": ("cpus = 0", "line 1: cpus '0' is not a number of processors", "0.01 or more"),
    "cpus, infinite": ("cpus = inf", "line 1: cpus 'inf' is not a number", "0.01 or more"),
    "cpus, text": ('cpus = "4"', "line 1: cpus must be a number", "cpus = 4"),
    "cpus, true": ("cpus = true", "line 1: cpus must be a number", "cpus = 4"),
    "shm-size": ('shm-size = "big"', "line 1: shm-size 'big' is not a size", "16g"),
    "pids": ("pids = -1", "line 1: pids '-1' is not a number from 1", "whole number"),
    "pids, a fraction": ("pids = 1.5", "line 1: pids must be a whole number", "pids = 4096"),
    "restart": ('restart = "allways"', "line 1: restart 'allways' is not one of", "launcher up --help"),
    "restart, false": ("restart = false", "line 1: restart must be text in quotes", "unless-stopped"),
    "stack": ('stack = "cu999"', "line 1: stack: there is no stack 'cu999'", "cu128"),
    "skip-check": ("skip-check = 1", "line 1: skip-check must be true or false", "true"),
    "mounts, one text": ('mounts = "data"', "line 1: mounts must be a list of texts", "mounts = \\["),
    "mounts, missing": ('mounts = ["nowhere"]', "line 1: mounts: nowhere does not exist", "mkdir -p"),
    "mounts, the system": ('mounts = ["/etc"]', "line 1: mounts: /etc would hand the machine", "of your own"),
    "mounts, the home": ('mounts = ["~"]', "line 1: mounts: ~ is your whole home", "inside it"),
    "mounts, upwards": ('mounts = ["../../../../../../../../etc:/x"]', "would hand the machine", "of your own"),
    "mounts, a link": ('mounts = ["link"]', "line 1: mounts: link would hand the machine", "of your own"),
    "mounts, over the project": ('mounts = ["data:/workspace"]', "line 1: mounts cannot use '/workspace'", "absolute"),
    "mounts, twice": ('mounts = ["data", "data:/mnt/data"]', "are both /mnt/data", "another place"),
    "mounts, numbers": ("mounts = [1]", "line 1: mounts must be a list of texts", "mounts = \\["),
    "apt, an option": ('apt = ["-o=APT::x"]', "line 1: apt '-o=APT::x' is not the name", "ffmpeg"),
    "apt, two": ('apt = ["git curl"]', "line 1: apt 'git curl' is not the name", "ffmpeg"),
    "sync": ('sync = "yes"', "line 1: sync must be true or false", "sync = true"),
    "apt, a command": ('apt = ["git;id"]', "line 1: apt 'git;id' is not the name", "ffmpeg"),
    "pip, an option": ('pip = ["-r/etc/passwd"]', "line 1: pip '-r/etc/passwd' is not a Python req", "einops"),
    "pip, two lines": ('pip = ["a\\n--index-url x"]', "is not a Python requirement", "einops"),
    "keys": ('keys = ["id.pub"]', "line 1: keys 'id.pub' is not a file", "public keys"),
    "env, text": ('env = "A=1"', "line 1: env must be a table", "\\[env\\]"),
    "env, a list": ('env = ["A=1"]', "line 1: env must be a table", "\\[env\\]"),
    "env, true": ("[env]\nA = true", "line 2: env: A must be text in quotes", 'A = "1"'),
    "env, a fraction": ("[env]\nA = 1.10", "line 2: env: A must be text in quotes", 'A = "1"'),
    "env, a name": ('[env]\n"A B" = "1"', "line 2: env 'A B=1' is not KEY=VALUE", "Example"),
    "env, a name with =": ('[env]\n"A=B" = "1"', "line 2: env: 'A=B' cannot be a variable's name", "Example"),
    "env, a null byte": ('[env]\nA = "\\u0000"', "line 2: env: A must be text", "Example"),
    "env, then a setting": ('[env]\nA = "1"\nmemory = "8g"', "line 3: env: memory stands below \\[env\\]", "above"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    (directory / "data").mkdir(parents=True)
    (directory / "link").symlink_to("/")
    return directory


def read(project: Path, environ: dict[str, str] | None = None) -> None:
    home = project.parent / "home"
    home.mkdir(exist_ok=True)
    options = {key.parameter: None for key in KEYS}
    resolve({"HOME": str(home), **(environ or {})}, home, host_path_check(home), project, options)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_with_place_cause_and_remedy(
    project: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, cause, remedy = WRONG[case]
    (project / "launcher.toml").write_text(text + "\n")
    monkeypatch.setenv("HOME", str(project.parent / "home"))
    with pytest.raises(UsageError, match=cause) as caught:
        read(project)
    assert caught.value.code == 2 and caught.value.cause.startswith(f"{project}/launcher.toml")
    assert re.search(remedy, caught.value.next_step), caught.value.next_step


def test_every_setting_has_a_wrong_value_above() -> None:
    assert {case.split(",")[0].split(" ")[0] for case in WRONG} >= set(BY_NAME)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"memory 16g", "is not TOML: .*line 1"),
        (b'memory = "1g"\nmemory = "2g"', "is not TOML: .*overwrite"),
        (b'\n\nname = "\xff"', "line 3, is not UTF-8"),
        (b"\x00\x01", "is not TOML"),
        (b"#" * (300 << 10), "larger than 256 KiB"),
        (b"apt = " + b"[" * 100_000, "is nested too deeply|is not TOML"),
        (b"pids = " + b"9" * 10_000, "is not TOML|not a number"),
    ],
)
def test_what_is_no_settings_file_is_one_clear_line(project: Path, content: bytes, cause: str) -> None:
    (project / "launcher.toml").write_bytes(content)
    with pytest.raises(UsageError, match=cause) as caught:
        read(project)
    assert len(caught.value.cause.splitlines()) == 1 and caught.value.next_step


def test_no_content_of_a_foreign_file_is_repeated(project: Path, tmp_path: Path) -> None:
    """launcher.toml may be a link to any file of the user's."""
    secret = tmp_path / "secret"
    secret.write_text("root:$6$hash:19000:0:99999:7:::\n")
    (project / "launcher.toml").symlink_to(secret)
    with pytest.raises(UsageError) as caught:
        read(project)
    assert "hash" not in caught.value.cause + caught.value.next_step


def test_what_is_no_file_is_refused_without_waiting_for_it(project: Path) -> None:
    path = project / "launcher.toml"
    path.mkdir()
    with pytest.raises(UsageError, match="not a file"):
        read_file(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(UsageError, match="not a file"):
        read_file(path)
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(UsageError, match="leads nowhere"):
        read_file(path)
    path.unlink()
    assert read_file(path) is None


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(project: Path) -> None:
    (project / "launcher.toml").touch(mode=0)
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        read(project)


def test_files_of_windows_editors_are_read(project: Path) -> None:
    (project / "launcher.toml").write_bytes(b'\xef\xbb\xbfmemory = "1g"\r\n[env]\r\nA = "1"\r\n')
    file = read_file(project / "launcher.toml")
    assert file is not None and file.table == {"memory": "1g", "env": {"A": "1"}}


def test_the_users_file_cannot_name_every_environment_alike(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "config/gpu-launcher/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('name = "demo"\n')
    with pytest.raises(UsageError, match=r"config\.toml, line 1: name would give every project"):
        read(project, {"XDG_CONFIG_HOME": str(tmp_path / "config")})


@pytest.mark.parametrize(
    ("variable", "value", "cause"),
    [
        ("LAUNCHER_MEMORY", "16", "LAUNCHER_MEMORY '16' is not a size"),
        ("LAUNCHER_SHARE", "maybe", "LAUNCHER_SHARE 'maybe' is neither"),
        ("LAUNCHER_ENV", "A B=1", "LAUNCHER_ENV 'A B=1' is not KEY=VALUE"),
        ("LAUNCHER_MOUNTS", "/etc", "LAUNCHER_MOUNTS: /etc would hand"),
        ("LAUNCHER_PORT", "abc", "LAUNCHER_PORT 'abc' is not a number"),
    ],
)
def test_a_wrong_variable_is_named(project: Path, variable: str, value: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        read(project, {variable: value})


def test_variables_are_none_of_those_that_compose_or_the_image_read_but_one_of_the_same_meaning() -> None:
    root = Path(__file__).resolve().parents[2]
    sources = [root / "compose.yaml", *(root / "images").rglob("bin/*"), root / "launcher/setup/mirrors.py"]
    others = {name for path in sources for name in re.findall(r"LAUNCHER_[A-Z_]+", path.read_text())}
    assert {key.variable for key in KEYS} & others == {"LAUNCHER_SHM_SIZE"}
    # compose's own spelling is understood.
    source = Source(Origin.VARIABLE, Path("/h"), {"LAUNCHER_SHM_SIZE": "8gb"}, host_path_check(Path("/h")))
    assert [setting.text for setting in from_variables(source)] == ["8g"]
