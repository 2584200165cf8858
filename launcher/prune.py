"""What the launcher left on the engine and on this machine that nothing needs any more. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from launcher import labels
from launcher.engine import Container, Volume
from launcher.images import layer_base
from launcher.plan import HOME, own_volumes
from launcher.storage import Network, StoredImage

# A run that is starting makes its network and volumes seconds before its container.
YOUNG_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to remove: `kind` is container, network, volume, image, file or cache; `bytes` None where unknown."""

    kind: str
    name: str
    why: str
    bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A row of `prune --json`."""
        return {"kind": self.kind, "name": self.name, "why": self.why, "bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class Stored:
    """What the engine holds of anybody's environments and images, at time `now` (seconds since 1970)."""

    now: float
    containers: Sequence[Container] = ()
    networks: Sequence[Network] = ()
    volumes: Sequence[Volume] = ()
    images: Sequence[StoredImage] = ()
    current: frozenset[str] = field(default=frozenset())


def removable(stored: Stored, owner: int | None) -> list[Item]:
    """What belongs to `owner` (None: to anybody) and can go, in an order in which it can be removed."""
    return [
        *_containers(stored, owner),
        *_networks(stored, owner),
        *_volumes(stored, owner),
        *_images(stored, owner),
    ]


def _containers(stored: Stored, owner: int | None) -> Iterator[Item]:
    for container in _trainings(stored, owner):
        if container.state in ("exited", "dead"):
            yield Item("container", container.name, "a training run that has ended")


def _trainings(stored: Stored, owner: int | None) -> list[Container]:
    own = [c for c in stored.containers if c.labels.get(labels.ROLE) == labels.ROLE_TRAIN]
    return [c for c in own if _is_of(c.labels.get(labels.OWNER), owner)]


def _networks(stored: Stored, owner: int | None) -> Iterator[Item]:
    needed = _needed(stored)
    for network in stored.networks:
        mine = labels.NAME in network.labels and _is_of(network.labels.get(labels.OWNER), owner)
        if mine and network.name not in needed and stored.now - network.created > YOUNG_SECONDS:
            yield Item("network", network.name, "no container uses it", 0)


def _needed(stored: Stored) -> set[str]:
    """Engine names of the environments and runs that are there, and not about to be removed."""
    return {c.name for c in stored.containers} - {item.name for item in _containers(stored, None)}


def _volumes(stored: Stored, owner: int | None) -> Iterator[Item]:
    """A run's volumes go with its container; an environment's only where its home is gone already: `down` keeps it."""
    needed, names = _needed(stored), {volume.name for volume in stored.volumes}
    starting = {n.name for n in stored.networks if stored.now - n.created <= YOUNG_SECONDS}
    for volume in stored.volumes:
        found = volume.labels
        if not _is_of(found.get(labels.OWNER), owner) or labels.NAME not in found:
            continue
        user, name, role = int(found[labels.OWNER]), found[labels.NAME], found.get(labels.ROLE)
        container = labels.engine_name(user, name)
        if container in needed or container in starting:
            continue
        if role == labels.ROLE_TRAIN:
            yield Item("volume", volume.name, "of a training run that has ended", volume.bytes)
        elif role == labels.ROLE_ENVIRONMENT and own_volumes(user, name)[HOME] not in names:
            yield Item("volume", volume.name, "of an environment that no longer exists", volume.bytes)


def _images(stored: Stored, owner: int | None) -> Iterator[Item]:
    """Images have no owner: those that another user's environments were made from stay."""
    everybody = [c.labels for c in stored.containers] + [v.labels for v in stored.volumes]
    others = [found for found in everybody if owner is not None and found.get(labels.OWNER) != str(owner)]
    wanted = {found.get(labels.IMAGE_SOURCE) for found in others}
    gone = {item.name for item in _containers(stored, owner)}
    used = {c.image for c in stored.containers if c.name not in gone}
    asleep = _modes_asleep(stored)
    # Layers of packages before what lies below them.
    for image in sorted(stored.images, key=lambda image: labels.IMAGE_PACKAGES not in image.labels):
        source = image.labels.get(labels.IMAGE_SOURCE)
        if image.id in used or source is None or source in wanted:
            continue
        # An image that only ended runs were made from is free once these are removed.
        foreign = image.containers - sum(1 for c in stored.containers if c.name in gone and c.image == image.id)
        if foreign > 0 or stored.current & set(image.references):
            continue
        old = [name for name in image.references if not _is_plain(name)]
        if image.references and len(old) < len(image.references):
            # `gpu-launcher/TARGET:STACK` is what compose.yaml names: it stays until something newer takes the name.
            continue
        if any(layer_base(name) in stored.current and _mode(name) in asleep for name in old):
            # An environment that is down may need these packages again, and there may be no network then.
            continue
        packages = " (packages that no environment uses)" if labels.IMAGE_PACKAGES in image.labels else ""
        yield Item("image", image.id, (", ".join(old) or "an image without a name") + packages, image.own_bytes)


def _modes_asleep(stored: Stored) -> set[str]:
    """Modes of anybody's environments that are down: which packages they have, only a container would tell."""
    there = {c.name for c in stored.containers}
    own = [v.labels for v in stored.volumes if v.labels.get(labels.ROLE) == labels.ROLE_ENVIRONMENT]
    named = [found for found in own if _is_of(found.get(labels.OWNER), None) and labels.NAME in found]
    asleep = [f for f in named if labels.engine_name(int(f[labels.OWNER]), f[labels.NAME]) not in there]
    return {found.get(labels.MODE, "") for found in asleep}


def _mode(reference: str) -> str:
    return reference.rpartition("/")[2].partition(":")[0]


def _is_plain(reference: str) -> bool:
    return "-" not in reference.rpartition(":")[2]


def _is_of(found: str | None, owner: int | None) -> bool:
    return found is not None and found.isdecimal() and (owner is None or found == str(owner))


def freed_bytes(items: Sequence[Item]) -> int:
    """The sum of what is known: at least so much is freed."""
    return sum(item.bytes or 0 for item in items)
