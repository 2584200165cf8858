"""Files, images and networks: what the real engine and the fake must do alike."""

from __future__ import annotations

import io
import tarfile
import time

import pytest

from launcher import labels
from launcher.engine import ContainerPlan, Engine
from launcher.errors import LauncherError
from launcher.tar_stream import EMPTY
from tests.contract.fake_engine import FakeEngine
from tests.contract.test_engine_contract import engine, plan, prepare  # noqa: F401 (fixtures)

PLACE = "/run/gpu-launcher"


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.uid, entry.gid = len(content), 1234, 1234
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_files_go_in_and_come_out_of_a_container_that_does_not_run(engine: Engine, plan: ContainerPlan) -> None:
    prepare(engine, plan)
    engine.put_tree(plan.name, PLACE, iter([tar({"a": b"one", "d/b": b"two"})]))
    assert engine.path_stat(plan.name, f"{PLACE}/absent") is None
    assert engine.path_stat(plan.name, f"{PLACE}/a/below-a-file") is None
    file, directory = (engine.path_stat(plan.name, f"{PLACE}/{name}") for name in ("a", "d"))
    assert file is not None and (file.name, file.kind, file.bytes) == ("a", "file", 3)
    assert directory is not None and (directory.name, directory.kind) == ("d", "directory")
    with tarfile.open(fileobj=io.BytesIO(b"".join(engine.get_tree(plan.name, f"{PLACE}/d")))) as archive:
        content = archive.extractfile("d/b")
        assert content is not None and content.read() == b"two"


def test_what_is_read_only_is_refused_before_anything_is_sent(engine: Engine, plan: ContainerPlan) -> None:
    prepare(engine, plan)
    with pytest.raises(LauncherError, match="read-only"):
        engine.put_tree(plan.name, "/etc", iter([EMPTY]))


def test_the_user_of_a_container_is_known(engine: Engine, plan: ContainerPlan) -> None:
    prepare(engine, plan)
    found = engine.container(plan.name)
    assert found is not None and found.user == "1234:1234"


def test_networks_are_listed_by_label_with_their_age(engine: Engine, plan: ContainerPlan) -> None:
    before = time.time()
    engine.create_network(plan.name, plan.labels, None)
    found = [n for n in engine.list_networks(f"{labels.NAME}={plan.name}") if n.name == plan.name]
    assert len(found) == 1 and found[0].labels[labels.OWNER] == "424242"
    assert abs(found[0].created - before) < 60


def test_a_loaded_archive_that_is_none_is_refused(engine: Engine) -> None:
    with pytest.raises(LauncherError):
        engine.load_images(iter([b"this is no archive"]))


def test_images_are_saved_loaded_and_removed_by_name(engine: Engine, request: pytest.FixtureRequest) -> None:
    name = "gpu-launcher-contract/storage:test"
    if isinstance(engine, FakeEngine):
        from launcher.engine import Image
        from launcher.storage import StoredImage

        engine.images[name] = Image("sha256:9", {"gpu-launcher.contract": "1"})
        engine.stored["sha256:9"] = StoredImage("sha256:9", (name,), {"gpu-launcher.contract": "1"})
    else:
        client = request.getfixturevalue("docker_client")
        client.api.import_image_from_data(
            tar({"file": b"content"}),
            repository="gpu-launcher-contract/storage",
            tag="test",
            changes=["LABEL gpu-launcher.contract=1"],
        )
    stored = [image for image in engine.stored_images("gpu-launcher.contract") if name in image.references]
    assert len(stored) == 1 and stored[0].containers == 0
    saved = list(engine.save_images([name]))
    engine.remove_image(name)
    assert engine.image(name) is None
    engine.load_images(iter(saved))
    found = engine.image(name)
    assert found is not None and found.labels["gpu-launcher.contract"] == "1"
    engine.remove_image(name)
    engine.remove_image(name)
