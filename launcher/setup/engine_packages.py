"""Which packages of which distribution make a container engine that can build with BuildKit."""

from __future__ import annotations

import re

# In these releases docker.io contains a client with BuildKit; later ones have it in packages of their own.
# `apt-cache show docker.io docker-cli docker-buildx` in bookworm and trixie.
DEBIAN = {"11": ("docker.io",), "12": ("docker.io",)}
DEBIAN_LATER = ("docker.io", "docker-cli", "docker-buildx", "docker-compose")
# https://packages.ubuntu.com/jammy-updates/docker.io (and focal, noble): the plugins are separate.
UBUNTU = ("docker.io", "docker-buildx", "docker-compose-v2")

# A package of any of these is somebody's choice of engine; a second one would fight it for sockets and iptables.
ENGINE_PACKAGES = (
    "docker.io",
    "docker-ce",
    "docker-engine",
    "moby-engine",
    "docker-ce-rootless-extras",
    "podman",
    "podman-docker",
)
ENGINE_PROGRAMS = ("/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd", "/snap/bin/dockerd")
OFFICIAL_DOCUMENT = "Install Docker Engine, https://docs.docker.com/engine/install/"


def engine_packages(distribution: str, version: str) -> tuple[str, ...] | None:
    """Package names for apt-get on `distribution` (os-release ID); None where they are not known."""
    if distribution == "debian":
        return DEBIAN.get(version.split(".")[0], DEBIAN_LATER)
    if distribution == "ubuntu":
        return UBUNTU
    return None


def installed_packages(dpkg_status: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `names` that dpkg's status file lists as unpacked or installed, in the order of `names`."""
    wanted = "|".join(re.escape(name) for name in names)
    # "not-installed" and "config-files" are what a removed package leaves behind.
    pattern = rf"^Package: ({wanted})\nStatus: \S+ \S+ (?!not-installed|config-files)\S+"
    found = set(re.findall(pattern, dpkg_status, re.MULTILINE))
    return tuple(name for name in names if name in found)
