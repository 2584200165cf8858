"""One suite for the real engine and for the fake: what both must do alike."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from launcher import labels
from launcher.endpoint import resolve_endpoint
from launcher.engine import Container, ContainerPlan, Engine, Image, VolumeMount
from launcher.errors import ConflictError, LauncherError
from launcher.inject import InjectedFile, archive
from tests.contract.fake_engine import FakeEngine
from tests.waiting import wait_until


@pytest.fixture(params=["fake", "docker"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "fake":
        return FakeEngine(images={"image": Image("sha256:0", {})})
    request.getfixturevalue("docker_client")
    import os

    from launcher.docker_engine import DockerEngine

    return DockerEngine.connect(resolve_endpoint(os.environ))


@pytest.fixture
def plan(engine: Engine, request: pytest.FixtureRequest) -> Iterator[ContainerPlan]:
    name = f"gl-contract-{secrets.token_hex(4)}"
    image = "image" if isinstance(engine, FakeEngine) else request.getfixturevalue("jupyter_image")
    yield ContainerPlan(
        name=name,
        image=image,
        command=("sleep", "60"),
        uid=1234,
        gid=1234,
        groups=(),
        environment={"A": "1"},
        labels={labels.NAME: name, labels.OWNER: "424242"},
        binds=(),
        volumes=(VolumeMount(name, "/run/gpu-launcher"),),
        network=name,
        container_port=None,
        host_port=None,
        shm_bytes=64 << 20,
        pids=64,
        unlimited_memlock=False,
    )
    engine.remove(name)
    engine.remove_network(name)
    engine.remove_volume(name)


def prepare(engine: Engine, plan: ContainerPlan) -> None:
    engine.create_volume(plan.name, plan.labels)
    engine.create_network(plan.name, plan.labels, None)
    engine.create(plan)


def found(engine: Engine, name: str) -> Container:
    container = engine.container(name)
    assert container is not None
    return container


def test_a_container_is_found_by_name_and_label_through_its_life(engine: Engine, plan: ContainerPlan) -> None:
    assert engine.container(plan.name) is None
    prepare(engine, plan)
    assert found(engine, plan.name).state == "created"
    engine.start(plan.name)
    assert found(engine, plan.name).state == "running"
    listed = engine.containers(f"{labels.NAME}={plan.name}")
    assert [container.name for container in listed] == [plan.name]
    assert listed[0].labels[labels.OWNER] == "424242"
    engine.keep_running(plan.name)
    engine.keep_running(plan.name, "on-failure")
    engine.stop(plan.name, 1)
    assert found(engine, plan.name).state == "exited"
    engine.restart(plan.name, 1)
    assert found(engine, plan.name).state == "running"
    engine.remove(plan.name)
    assert engine.container(plan.name) is None


def test_a_second_container_of_the_name_is_a_conflict(engine: Engine, plan: ContainerPlan) -> None:
    prepare(engine, plan)
    with pytest.raises(ConflictError, match=plan.name):
        engine.create(plan)


def test_injected_files_outlive_the_container(engine: Engine, plan: ContainerPlan) -> None:
    prepare(engine, plan)
    engine.put_archive(plan.name, "/run/gpu-launcher", archive({"token": InjectedFile(b"secret")}, 1234, 1234))
    assert engine.get_file(plan.name, "/run/gpu-launcher/token") == b"secret"
    assert engine.get_file(plan.name, "/run/gpu-launcher/absent") is None
    engine.remove(plan.name)
    engine.create(plan)
    assert engine.get_file(plan.name, "/run/gpu-launcher/token") == b"secret"


def test_a_renamed_container_leaves_its_name_and_keeps_its_environment(engine: Engine, plan: ContainerPlan) -> None:
    prepare(engine, plan)
    aside = labels.set_aside_name(plan.name)
    engine.rename(plan.name, aside)
    try:
        assert engine.container(plan.name) is None
        assert found(engine, aside).name == aside and found(engine, aside).environment["A"] == "1"
        engine.create(plan)
    finally:
        engine.remove(aside)
    with pytest.raises(LauncherError, match=r"(?i)no such container"):
        engine.rename(aside, plan.name)


def test_removing_what_is_gone_is_fine(engine: Engine) -> None:
    engine.remove("gl-contract-absent")
    engine.remove_network("gl-contract-absent")
    engine.remove_volume("gl-contract-absent")


def test_networks_and_volumes_are_made_once(engine: Engine, plan: ContainerPlan) -> None:
    assert engine.create_network(plan.name, plan.labels, 1400) is True
    assert engine.create_network(plan.name, plan.labels, 1400) is False
    engine.create_volume(plan.name, plan.labels)
    engine.create_volume(plan.name, plan.labels)
    assert [v.name for v in engine.volumes(f"{labels.NAME}={plan.name}")] == [plan.name]
    # None while the engine measures for somebody else.
    measured = wait_until(
        lambda: [v for v in engine.volumes(f"{labels.NAME}={plan.name}", sizes=True) if v.bytes is not None], "a size"
    )
    assert [volume.bytes for volume in measured] == [0]


def test_an_absent_container_is_one_clear_error(engine: Engine) -> None:
    with pytest.raises(LauncherError, match=r"(?i)no such container"):
        engine.start("gl-contract-absent")


def test_a_container_made_anew_is_another_one_with_all_it_had(engine: Engine, plan: ContainerPlan) -> None:
    prepare(engine, plan)
    engine.put_archive(plan.name, "/run/gpu-launcher", archive({"token": InjectedFile(b"secret")}, 1234, 1234))
    engine.start(plan.name)
    before = found(engine, plan.name)
    engine.recreate(plan.name)
    after = found(engine, plan.name)
    assert after.id != before.id and after.state == "created"
    assert (after.name, after.image, after.labels) == (before.name, before.image, before.labels)
    assert engine.get_file(plan.name, "/run/gpu-launcher/token") == b"secret"
    engine.start(plan.name)
    assert [container.name for container in engine.containers(f"{labels.NAME}={plan.name}")] == [plan.name]


def test_an_absent_container_is_not_made_anew(engine: Engine) -> None:
    with pytest.raises(LauncherError, match=r"(?i)no such container"):
        engine.recreate("gl-contract-absent")
