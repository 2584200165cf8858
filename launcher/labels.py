"""The labels by which the engine remembers what is ours; there is no other database."""

from __future__ import annotations

PREFIX = "gpu-launcher."
NAME = PREFIX + "name"
MODE = PREFIX + "mode"
OWNER = PREFIX + "owner"
USER = PREFIX + "user"
PROJECT = PREFIX + "project"
PORT = PREFIX + "port"
DEVICE = PREFIX + "device"
DEVICE_REASON = PREFIX + "device-reason"
GPUS = PREFIX + "gpus"
VERIFIED = PREFIX + "gpu-verified"
SYNC = PREFIX + "sync"
SETTINGS = PREFIX + "settings"
ROLE = PREFIX + "role"
IMAGE_SOURCE = PREFIX + "source"
IMAGE_BASE = PREFIX + "base"
IMAGE_PACKAGES = PREFIX + "packages"

ROLE_ENVIRONMENT = "environment"
ROLE_TRAIN = "train"
ROLE_CACHE = "cache"
ROLE_DATA = "data"


def set_aside_name(engine_name: str) -> str:
    """A container's name while its replacement is being made; no environment's can end like this."""
    return f"{engine_name}.-"


def engine_name(owner: int, name: str) -> str:
    """The container's and network's name: unique per user, readable in `docker ps`."""
    return f"gl-{owner}-{name}"
