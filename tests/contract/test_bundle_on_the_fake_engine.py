"""From one engine to another by a file: `up` there builds nothing (simulated: both engines)."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher import bundles, labels
from launcher.engine import Container, Image
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


def layer(engine: FakeEngine, target: str, base: str, identifier: str) -> str:
    """A layer of packages over `base`, as the engine would have it."""
    name = f"{base}-cccccccccccc"
    found = {labels.IMAGE_SOURCE: choose_image(target).source, labels.IMAGE_PACKAGES: "{}"}
    engine.images[name] = Image(identifier, found)
    engine.stored[identifier] = StoredImage(identifier, (name,), found, 8100, 100)
    return name


def test_the_packages_of_an_environment_go_with_the_images_and_no_others(engine: FakeEngine, tmp_path: Path) -> None:
    context = context_for(engine, tmp_path)
    used = layer(engine, "jupyter", choose_image("jupyter").reference, "sha256:used")
    layer(engine, "ssh", choose_image("ssh").reference, "sha256:unused")
    old = layer(engine, "jupyter", "gpu-launcher/jupyter:cu128-000000000000", "sha256:old")
    for name, identifier, owner in (("mine", "sha256:used", "1000"), ("late", "sha256:old", "1000")):
        found = {labels.OWNER: owner, labels.ROLE: labels.ROLE_ENVIRONMENT}
        engine.rows[name] = Container("id", name, "exited", image=identifier, labels=found)
    path, other = tmp_path / "bundle.tar", FakeEngine()
    bundles.save(context, path, ("jupyter", "ssh"), None, compress=True)
    loaded = bundles.load(context_for(other, tmp_path), path).manifest.images
    assert [(image.target, image.references) for image in loaded][2:] == [("jupyter", (used,))]
    assert set(other.images) == {choose_image("jupyter").reference, choose_image("ssh").reference, used}
    assert all(map(bundles.is_current, loaded))
    assert f"Left out {old}" in context.progress.stream.getvalue()  # type: ignore[attr-defined]


def test_another_users_packages_stay_where_they_are(engine: FakeEngine, tmp_path: Path) -> None:
    layer(engine, "ssh", choose_image("ssh").reference, "sha256:theirs")
    found = {labels.OWNER: "2000", labels.ROLE: labels.ROLE_ENVIRONMENT}
    engine.rows["theirs"] = Container("id", "theirs", "running", image="sha256:theirs", labels=found)
    path = saved(engine, tmp_path)
    assert len(bundles.load(context_for(FakeEngine(), tmp_path), path).manifest.images) == 2
