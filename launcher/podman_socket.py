"""Podman's sockets: how one is known before anybody answers there, and the commands that bring one up."""

from __future__ import annotations

START = "Start it: systemctl --user start podman.socket   (that of root: sudo systemctl start podman.socket)"
USE_OWN = "systemctl --user enable --now podman.socket && export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/podman/podman.sock"


def is_podman_socket(url: str) -> bool:
    """By its usual name: https://docs.podman.io/en/latest/markdown/podman-system-service.1.html"""
    return url.startswith("unix://") and url.endswith("/podman.sock")
