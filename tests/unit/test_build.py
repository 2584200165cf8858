"""What is asked of the docker command line, and what is refused before anything is built."""

from __future__ import annotations

import dataclasses
import io
import stat
from collections import namedtuple
from contextlib import nullcontext
from pathlib import Path

import pytest

from launcher.errors import NotReadyError, UsageError
from launcher.progress import Progress
from launcher.setup import build
from launcher.setup.build import build_command, build_image, image_reference, require_disk, require_lock
from launcher.setup.client import BuildClient, candidate_paths, find_client, is_podman
from launcher.setup.mirrors import Mirrors
from launcher.setup.probe import Answer, EngineState
from launcher.setup.source import stage_context
from launcher.stacks import default_stack, load_stacks

STACK = default_stack()


def test_the_command_names_everything_and_holds_no_secret_value(tmp_path: Path) -> None:
    mirrors = Mirrors(proxies=("https_proxy",))
    secrets = {"ca": Path("/ca.pem")}
    command = build_command(STACK, "ssh", "abc", "gpu-launcher/root:bookworm", mirrors, secrets, tmp_path)
    assert command[:3] == ["build", "--network", "host"]
    assert command[-1] == str(tmp_path)
    text = " ".join(command)
    for part in (
        "--target ssh",
        "--tag gpu-launcher/ssh:cu128-abc ",
        "--tag gpu-launcher/ssh:cu128 ",
        "--build-arg SOURCE=abc",
        "--build-arg https_proxy ",
        "--build-arg ROOT_IMAGE=gpu-launcher/root:bookworm",
        "--secret id=ca,src=/ca.pem",
        f"--label gpu-launcher.torch={STACK.torch}",
    ):
        assert part in text


def test_an_unknown_target_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="desktop"):
        build_image(STACK, "desktop", Progress(io.StringIO()))


@pytest.mark.parametrize("name", [stack.name for stack in load_stacks().values() if not stack.locked])
def test_a_stack_without_locks_is_refused_with_the_way_to_get_them(name: str) -> None:
    with pytest.raises(NotReadyError) as caught:
        require_lock(load_stacks()[name])
    assert f"generate.py {name}" in caught.value.next_step


def test_a_locked_stack_whose_lock_is_missing_is_refused() -> None:
    with pytest.raises(NotReadyError):
        require_lock(dataclasses.replace(STACK, name="cu999"))


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("free", "have", "refused"), [(24, False, True), (26, False, False), (5, True, False), (3, True, True)]
)
@pytest.mark.parametrize(("podman", "field"), [(False, "{{.DockerRootDir}}"), (True, "{{.Store.GraphRoot}}")])
def test_disk_is_checked_before_the_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, have: bool, refused: bool, podman: bool, field: str
) -> None:
    answers = {"info": str(tmp_path), "image": "id x" if have else ""}
    asked: list[str] = []

    def output(_client: BuildClient, *words: str) -> str:
        asked.extend(words)
        return answers[words[0]]

    monkeypatch.setattr(build, "_output", output)
    monkeypatch.setattr("launcher.setup.build.shutil.disk_usage", lambda _path: Usage(100, 0, free * 10**9))
    with pytest.raises(NotReadyError, match="are free") if refused else nullcontext():
        require_disk(STACK, BuildClient("docker", None, podman=podman))
    assert field in asked


def test_a_remote_engines_disk_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_output", lambda *_arguments: "/")
    monkeypatch.setattr("launcher.setup.build.shutil.disk_usage", lambda _path: Usage(1, 1, 0))
    require_disk(STACK, BuildClient("docker", "ssh://somewhere"))


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_first_client_that_really_builds_is_taken(tmp_path: Path) -> None:
    """Stand-ins for docker: one without buildx, one that builds."""
    broken = script(tmp_path / "a", 'echo "ERROR: BuildKit is enabled but the buildx component is missing" >&2; exit 1')
    works = script(tmp_path / "b", '[ "$DOCKER_BUILDKIT" = 1 ] && echo sha256:1')
    assert find_client("unix:///x", [broken, works]) == BuildClient(works, "unix:///x")


def test_without_a_usable_client_each_ones_refusal_is_told(tmp_path: Path) -> None:
    broken = script(tmp_path / "a", 'echo "buildx component is missing" >&2; exit 1')
    with pytest.raises(NotReadyError, match="buildx component is missing"):
        find_client(None, [broken])
    with pytest.raises(NotReadyError, match="no docker command line"):
        find_client(None, [])


def test_links_to_one_program_are_tried_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    real = script(tmp_path / "one/docker", "true")
    (tmp_path / "two/docker").symlink_to(real)
    found = candidate_paths({"PATH": f"{tmp_path}/one:{tmp_path}/two"})
    assert [path for path in found if path.startswith(str(tmp_path))] == [real]


def test_two_versions_of_the_launcher_on_one_engine_have_images_of_their_own() -> None:
    assert image_reference(STACK, "jupyter", "0123456789abcdef") == "gpu-launcher/jupyter:cu128-0123456789ab"
    assert image_reference(STACK, "jupyter", "f" * 64) != image_reference(STACK, "jupyter", "0" * 64)


PODMAN_VERSION = {"Version": "4.3.1", "Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (PODMAN_VERSION, True),
        ({"Version": "28.5.2", "Components": [{"Name": "Engine"}, {"Name": "containerd"}]}, False),
        ({"Version": "1.13", "Components": None}, False),
        (None, False),
        ("not an object", False),
    ],
)
def test_podman_is_known_by_its_version(monkeypatch: pytest.MonkeyPatch, body: object, expected: bool) -> None:
    monkeypatch.setattr("launcher.setup.client.ask_engine", lambda url, path: Answer(EngineState.ANSWERS, body))
    assert is_podman("unix:///x") is expected


def test_on_podman_the_podman_command_builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for the podman command, which writes down what it is asked."""
    log = tmp_path / "log"
    works = script(tmp_path / "podman", f'echo "$BUILDAH_FORMAT $*" >> {log}; echo 1')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("launcher.setup.client.is_podman", lambda url: True)
    client = find_client("unix:///x", ["docker"])
    assert client == BuildClient(works, "unix:///x", podman=True)
    assert log.read_text().startswith("docker --remote --url unix:///x build --quiet")


@pytest.mark.parametrize(
    ("answer", "cause"), [(None, "command is not on this machine"), ("echo boom; exit 1", "built on Podman: boom")]
)
def test_where_podman_cannot_build_images_can_be_brought(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str | None, cause: str
) -> None:
    if answer:
        script(tmp_path / "podman", answer)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("launcher.setup.client.is_podman", lambda url: True)
    with pytest.raises(NotReadyError, match=cause) as caught:
        find_client("unix:///x")
    assert "launcher bundle load" in caught.value.next_step
    assert "\n" not in caught.value.cause + caught.value.next_step


@pytest.mark.parametrize("said", ["sha256:0123 abc", "0123 abc"])
def test_an_images_id_is_that_of_the_engine_whatever_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setattr(build, "_output", lambda *_arguments: said)
    assert build.inspect_image(BuildClient("podman", None), "x") == ("sha256:0123", "abc")


@pytest.mark.parametrize(("podman", "left"), [(True, 0), (False, 6)])
def test_podman_gets_no_locks_of_caches(tmp_path: Path, podman: bool, left: int) -> None:
    dockerfile = stage_context(STACK, tmp_path / "context") / "images/Dockerfile"
    whole = dockerfile.read_text()
    BuildClient("podman", None, podman=podman).adapt(dockerfile)
    assert dockerfile.read_text().count("sharing=locked") == left
    assert dockerfile.read_text().count("--mount=type=cache") == whole.count("--mount=type=cache")
