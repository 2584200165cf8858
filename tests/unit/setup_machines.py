"""A bare machine, and what is added to one whose engine runs."""

from __future__ import annotations

from launcher.setup.detect import SetupFacts
from launcher.setup.probe import EngineState

BARE = SetupFacts(
    distribution="debian",
    version="12",
    codename="bookworm",
    architecture="x86_64",
    wsl=False,
    user="ada",
    is_root=True,
    sudo=False,
    apt=True,
    systemd=True,
    card=False,
    card_evidence=(),
    driver=False,
    toolkit=False,
    runtime_configured=False,
    cdi_specification=False,
    engine_url="unix:///var/run/docker.sock",
    engine_source="default",
    engine=EngineState.ABSENT,
    engine_packages=(),
    engine_programs=(),
    other_sockets=(),
    running_containers=0,
    ssh_client=True,
    docker_client=False,
    image=False,
    data_root="/var/lib/docker",
    free_bytes=100_000_000_000,
)
RUNNING = {"engine": EngineState.ANSWERS, "engine_packages": ("docker.io",), "engine_programs": ("/usr/sbin/dockerd",)}
