"""What `prune` would remove, as a table of what an engine holds; and what it never touches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from launcher import labels
from launcher.engine import Container, Volume
from launcher.prune import YOUNG_SECONDS, Stored, freed_bytes, removable
from launcher.storage import Network, StoredImage

ME, OTHER, NOW = 1000, 2000, 1_700_000_000.0
OLD = NOW - YOUNG_SECONDS - 1
CURRENT = "gpu-launcher/jupyter:cu128-aaaaaaaaaaaa"


def own(
    name: str, role: str = labels.ROLE_ENVIRONMENT, owner: int = ME, source: str = "aaaa", mode: str = "ssh"
) -> dict[str, str]:
    return {
        labels.MODE: mode,
        labels.NAME: name,
        labels.ROLE: role,
        labels.OWNER: str(owner),
        labels.IMAGE_SOURCE: source,
    }


def container(name: str, state: str, role: str, owner: int = ME, image: str = "sha256:current") -> Container:
    return Container(f"id-{name}", labels.engine_name(owner, name), state, image=image, labels=own(name, role, owner))


def volume(name: str, kind: str, role: str = labels.ROLE_ENVIRONMENT, owner: int = ME, **more: str) -> Volume:
    return Volume(f"gl-{owner}-{name}-{kind}", own(name, role, owner, **more), 1000)


def image(identifier: str, *references: str, source: str = "old") -> StoredImage:
    return StoredImage(identifier, references, {labels.IMAGE_SOURCE: source}, 8000, 300)


RUNNING = container("work", "running", labels.ROLE_ENVIRONMENT)
TRAINING = container("train-1", "running", labels.ROLE_TRAIN)
ENDED = container("train-2", "exited", labels.ROLE_TRAIN)
IMAGE = image("sha256:current", CURRENT, "gpu-launcher/jupyter:cu128", source="aaaa")
STALE = image("sha256:stale", "gpu-launcher/jupyter:cu128-bbbbbbbbbbbb")
LAYER = StoredImage(
    "sha256:layer", (f"{CURRENT}-cccccccccccc",), {labels.IMAGE_SOURCE: "old", labels.IMAGE_PACKAGES: "{}"}, 8100, 100
)
OLD_LAYER = "gpu-launcher/jupyter:cu128-bbbbbbbbbbbb-cccccccccccc"
EMPTY = Stored(NOW, current=frozenset({CURRENT}))
CASES: dict[str, tuple[Stored, set[str]]] = {
    "an engine with nothing": (EMPTY, set()),
    "what runs": (
        replace(
            EMPTY,
            containers=(RUNNING, TRAINING),
            networks=(Network("gl-1000-work", own("work"), OLD), Network("gl-1000-train-1", own("train-1"), OLD)),
            volumes=(volume("work", "home"), volume("train-1", "home", labels.ROLE_TRAIN)),
            images=(IMAGE,),
        ),
        set(),
    ),
    "an environment that is stopped": (replace(EMPTY, containers=(replace(RUNNING, state="exited"),)), set()),
    "the home of an environment that is down": (
        replace(EMPTY, volumes=(volume("work", "home"), volume("work", "run"))),
        set(),
    ),
    "a home alone": (replace(EMPTY, volumes=(volume("work", "home"),)), set()),
    "data and cache": (
        replace(
            EMPTY,
            volumes=(
                Volume("gl-1000-data-1000", {labels.OWNER: "1000", labels.ROLE: labels.ROLE_DATA}, 10**9),
                Volume("gl-1000-cache-1000", {labels.OWNER: "1000", labels.ROLE: labels.ROLE_CACHE}, 10**9),
            ),
        ),
        set(),
    ),
    "an ended training run, its network and its volumes": (
        replace(
            EMPTY,
            containers=(ENDED,),
            networks=(Network("gl-1000-train-2", own("train-2"), OLD),),
            volumes=(volume("train-2", "home", labels.ROLE_TRAIN), volume("train-2", "run", labels.ROLE_TRAIN)),
        ),
        {"gl-1000-train-2", "gl-1000-train-2-home", "gl-1000-train-2-run"},
    ),
    "a network that a run has just made": (
        replace(EMPTY, networks=(Network("gl-1000-new", own("new"), NOW - 1),)),
        set(),
    ),
    "volumes of a training run that is being started": (
        replace(
            EMPTY,
            networks=(Network("gl-1000-train-3", own("train-3"), NOW - 1),),
            volumes=(volume("train-3", "home", labels.ROLE_TRAIN),),
        ),
        set(),
    ),
    "a network whose run was killed": (
        replace(EMPTY, networks=(Network("gl-1000-gone", own("gone"), OLD),)),
        {"gl-1000-gone"},
    ),
    "a network of somebody else": (replace(EMPTY, networks=(Network("mynet", {}, OLD),)), set()),
    "what an interrupted rm left": (replace(EMPTY, volumes=(volume("gone", "run"),)), {"gl-1000-gone-run"}),
    "another user's leftovers": (
        replace(
            EMPTY,
            containers=(container("train-2", "exited", labels.ROLE_TRAIN, OTHER),),
            networks=(Network("gl-2000-gone", own("gone", owner=OTHER), OLD),),
            volumes=(volume("gone", "run", owner=OTHER),),
        ),
        set(),
    ),
    "a stale image": (replace(EMPTY, images=(IMAGE, STALE)), {"sha256:stale"}),
    "an image without a name": (replace(EMPTY, images=(image("sha256:dangling"),)), {"sha256:dangling"}),
    "a stale image that a container was made from": (
        replace(EMPTY, images=(STALE,), containers=(replace(RUNNING, state="exited", image="sha256:stale"),)),
        set(),
    ),
    "a stale image that a container without our labels was made from": (
        replace(EMPTY, images=(replace(STALE, containers=1),)),
        set(),
    ),
    "a stale image that only ended runs were made from": (
        replace(EMPTY, images=(replace(STALE, containers=1),), containers=(replace(ENDED, image="sha256:stale"),)),
        {"sha256:stale", "gl-1000-train-2"},
    ),
    "the image that compose.yaml names": (
        replace(EMPTY, images=(image("sha256:plain", "gpu-launcher/ssh:cu128", "gpu-launcher/ssh:cu128-cccc"),)),
        set(),
    ),
    "an image that another user's environment, now down, was made from": (
        replace(EMPTY, images=(STALE,), volumes=(volume("theirs", "home", owner=OTHER, source="old"),)),
        set(),
    ),
    "packages that no environment uses": (replace(EMPTY, images=(IMAGE, LAYER)), {"sha256:layer"}),
    "packages that an environment uses": (
        replace(EMPTY, images=(IMAGE, LAYER), containers=(replace(RUNNING, state="exited", image="sha256:layer"),)),
        set(),
    ),
    "packages that an environment, now down, may need": (
        replace(EMPTY, images=(IMAGE, LAYER), volumes=(volume("work", "home", mode="jupyter", owner=OTHER),)),
        set(),
    ),
    "packages over another mode's image than that of the one that is down": (
        replace(EMPTY, images=(IMAGE, LAYER), volumes=(volume("work", "home", mode="ssh"),)),
        {"sha256:layer"},
    ),
    "packages over an old image, with an environment down": (
        replace(
            EMPTY, images=(replace(LAYER, references=(OLD_LAYER,)),), volumes=(volume("work", "home", mode="jupyter"),)
        ),
        {"sha256:layer"},
    ),
    "an image of somebody else": (replace(EMPTY, images=(StoredImage("sha256:1", ("debian:12",)),)), set()),
}


@pytest.mark.parametrize(("stored", "names"), CASES.values(), ids=CASES)
def test_what_goes(stored: Stored, names: set[str]) -> None:
    assert {item.name for item in removable(stored, ME)} == names


def test_everybodys_leftovers_go_when_root_says_all() -> None:
    stored, _ = CASES["another user's leftovers"]
    found = {item.name for item in removable(stored, None)}
    assert found == {"gl-2000-train-2", "gl-2000-gone", "gl-2000-gone-run"}


def test_what_uses_something_goes_before_it() -> None:
    stored, _ = CASES["an ended training run, its network and its volumes"]
    stored = replace(stored, images=(STALE,))
    kinds = [item.kind for item in removable(stored, ME)]
    assert kinds == ["container", "network", "volume", "volume", "image"]
    assert freed_bytes(removable(stored, ME)) == 2300


def test_packages_are_told_and_go_before_what_lies_below_them() -> None:
    items = removable(replace(EMPTY, images=(STALE, LAYER)), ME)
    assert [item.name for item in items] == ["sha256:layer", "sha256:stale"]
    assert items[0].why == f"{CURRENT}-cccccccccccc (packages that no environment uses)"
