"""What is accepted on the command line, and what is refused before anything is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.errors import UsageError
from launcher.host_paths import host_path_check, project_directory
from launcher.spec import BindMount, GpuRequest, environment_name, parse_variables

UUID = "GPU-8f3c2a10-0000-1111-2222-333344445555"


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("auto", GpuRequest("auto")),
        ("all", GpuRequest("all")),
        ("none", GpuRequest("none")),
        ("2", GpuRequest("count", count=2)),
        ("0,1", GpuRequest("devices", devices=("0", "1"))),
        ("device=0", GpuRequest("devices", devices=("0",))),
        (UUID, GpuRequest("devices", devices=(UUID,))),
        ("MIG-12ab", GpuRequest("devices", devices=("MIG-12ab",))),
    ],
)
def test_gpu_request_is_read_and_printed_back(text: str, request_: GpuRequest) -> None:
    assert GpuRequest.parse(text) == request_
    assert GpuRequest.parse(str(request_)) == request_


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "0,,1", "0,0", "1.5", "GPU", "all,0", "0;rm", "device="])
def test_bad_gpu_request_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        GpuRequest.parse(text)
    assert caught.value.code == 2
    assert caught.value.next_step


def test_mount_defaults_and_options(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    check = host_path_check(tmp_path / "home")
    assert BindMount.parse(str(data), check) == BindMount(data, "/mnt/data")
    assert BindMount.parse(f"{data}:/d:ro", check) == BindMount(data, "/d", read_only=True)
    assert BindMount.parse(f"{data}:ro", check) == BindMount(data, "/mnt/data", read_only=True)


@pytest.mark.parametrize(
    "container", ["relative", "/workspace", "/", "/home/user", "/run/gpu-launcher", "//", "/tmp/."]
)
def test_mount_over_our_own_paths_is_refused(tmp_path: Path, container: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(UsageError):
        BindMount.parse(f"{data}:{container}", host_path_check(tmp_path / "home"))


@pytest.mark.parametrize("host", ["/", "//etc", "/etc/.", "/proc", "/dev", "/root", "/missing/dir", ":", "a:b:c:d"])
def test_dangerous_and_missing_mounts_are_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError):
        BindMount.parse(host, host_path_check(tmp_path))


def test_symlink_to_the_root_and_the_home_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "root").symlink_to("/")
    (tmp_path / "mine").symlink_to(home)
    for name in ("root", "mine"):
        with pytest.raises(UsageError):
            BindMount.parse(str(tmp_path / name), host_path_check(home))


def test_engine_socket_is_refused(tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"
    socket.touch()
    with pytest.raises(UsageError, match="machine"):
        BindMount.parse(str(socket), host_path_check(tmp_path / "home"))


def test_project_defaults_to_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert project_directory(None, tmp_path.parent / "home", None) == tmp_path
    assert project_directory(None, tmp_path / "home", tmp_path) == tmp_path / "workspace"


@pytest.mark.parametrize("project", ["/", "/etc", "/missing"])
def test_system_and_missing_projects_are_refused(tmp_path: Path, project: str) -> None:
    with pytest.raises(UsageError):
        project_directory(project, tmp_path, None)


def test_home_and_files_are_refused_as_project(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for project in (tmp_path, tmp_path / "file", tmp_path / "link"):
        with pytest.raises(UsageError):
            project_directory(str(project), tmp_path, None)


def test_deleted_current_directory_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(UsageError):
        project_directory(None, tmp_path / "home", None)


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("My Project", "my-project-ssh"),
        ("...", "project-ssh"),
        ("ünïcode", "n-code-ssh"),
        ("a" * 90, "a" * 40 + "-ssh"),
    ],
)
def test_default_name_comes_from_the_directory(tmp_path: Path, directory: str, name: str) -> None:
    assert environment_name(None, tmp_path / directory, "ssh") == name


@pytest.mark.parametrize("name", ["a", "-a", "A", "a b", "a/b", "", "x" * 60, "a\n"])
def test_bad_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        environment_name(name, tmp_path, "ssh")


def test_variables_keep_their_values_exactly() -> None:
    pairs = ("A=1=2", "B= spaced 'q' \"d\" $HOME\nline ü", "C")
    assert parse_variables(pairs, {"C": "from here"}) == {
        "A": "1=2",
        "B": " spaced 'q' \"d\" $HOME\nline ü",
        "C": "from here",
    }


@pytest.mark.parametrize("pair", ["=x", "1A=x", "A B=x", "UNSET"])
def test_bad_variables_are_refused(pair: str) -> None:
    with pytest.raises(UsageError):
        parse_variables((pair,), {})
