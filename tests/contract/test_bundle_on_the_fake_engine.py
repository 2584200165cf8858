"""From one engine to another by a file: `up` there builds nothing (simulated: both engines)."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher import bundles, labels
from launcher.engine import Image
from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.images import choose_image, ensure_image
from launcher.setup.build import latest_reference
from launcher.stacks import default_stack
from launcher.storage import StoredImage
from tests.contract.conftest import context_for
from tests.contract.fake_engine import FakeEngine


def saved(engine: FakeEngine, tmp_path: Path) -> Path:
    path = tmp_path / "bundle.tar"
    bundles.save(context_for(engine, tmp_path), path, ("jupyter", "ssh"), None, compress=True)
    return path


def test_another_engine_has_the_images_afterwards_and_needs_no_build(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = latest_reference(default_stack(), "ssh")
    engine.images[plain] = engine.images[choose_image("ssh").reference]
    path, other = saved(engine, tmp_path), FakeEngine()
    context = context_for(other, tmp_path)
    loaded = bundles.load(context, path).manifest.images
    assert [(image.target, bundles.is_current(image)) for image in loaded] == [("jupyter", True), ("ssh", True)]
    assert set(other.images) == {choose_image("jupyter").reference, choose_image("ssh").reference, plain}
    monkeypatch.setattr("launcher.setup.build.build_image", lambda *_, **__: pytest.fail("nothing is to be built"))
    for target in ("jupyter", "ssh"):
        ensure_image(context, choose_image(target), target)


def test_a_name_that_stands_for_something_else_is_not_taken_along(engine: FakeEngine, tmp_path: Path) -> None:
    engine.images[latest_reference(default_stack(), "ssh")] = Image("sha256:other", {})
    path, other = saved(engine, tmp_path), FakeEngine()
    bundles.load(context_for(other, tmp_path), path)
    assert latest_reference(default_stack(), "ssh") not in other.images


def test_images_of_other_sources_are_told(engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(engine, tmp_path)
    monkeypatch.setattr("launcher.setup.source.source_digest", lambda stack, target: "0" * 64)
    loaded = bundles.load(context_for(FakeEngine(), tmp_path), path).manifest.images
    assert not any(map(bundles.is_current, loaded))


def test_a_damaged_bundle_never_reaches_the_engine(engine: FakeEngine, tmp_path: Path) -> None:
    path, other = saved(engine, tmp_path), FakeEngine()
    content = bytearray(path.read_bytes())
    content[-3 * 512] ^= 1
    path.write_bytes(content)
    with pytest.raises(LauncherError, match="damaged"):
        bundles.load(context_for(other, tmp_path), path)
    assert other.images == {}


def test_an_engine_that_swallowed_the_images_is_an_error(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = saved(engine, tmp_path), FakeEngine()
    monkeypatch.setattr(other, "load_images", list)
    with pytest.raises(LauncherError, match="after loading"):
        bundles.load(context_for(other, tmp_path), path)


@pytest.mark.parametrize(("place", "said"), [("", "is a directory"), ("absent/bundle", "there is no directory")])
def test_a_place_that_cannot_be_meant_is_refused_before_anything_is_built(
    engine: FakeEngine, tmp_path: Path, place: str, said: str
) -> None:
    engine.images.clear()
    with pytest.raises(UsageError, match=said):
        bundles.save(context_for(engine, tmp_path), tmp_path / place, ("ssh",), None, compress=True)


def test_a_disk_that_cannot_hold_it_is_refused_first(engine: FakeEngine, tmp_path: Path) -> None:
    reference = choose_image("ssh").reference
    engine.stored["sha256:1"] = StoredImage("sha256:1", (reference,), {labels.IMAGE_SOURCE: "x"}, 10**18, 10**18)
    with pytest.raises(NotReadyError, match="are free"):
        bundles.save(context_for(engine, tmp_path), tmp_path / "bundle", ("ssh",), None, compress=False)


def test_what_images_share_is_expected_once() -> None:
    images = [StoredImage("a", (), {}, 8000, 100), StoredImage("b", (), {}, 7950, 50)]
    assert bundles.expected_bytes(images) == 7900 + 150
    assert bundles.expected_bytes([]) == 0
