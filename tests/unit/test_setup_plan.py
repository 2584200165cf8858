"""Facts of a machine -> the exact commands that set it up, or the reason why none may be run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from launcher.errors import NotReadyError, TimedOutError
from launcher.setup import toolkit
from launcher.setup.detect import SetupFacts
from launcher.setup.perform import dry_run_text
from launcher.setup.probe import EngineState
from launcher.setup.steps import plan_setup

INSTALL = "env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
DETACHED = (
    "sh -c 'setsid -f dockerd --pidfile /run/gpu-launcher-dockerd.pid "
    "< /dev/null >> /var/log/gpu-launcher-dockerd.log 2>&1'"
)

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
JAMMY = replace(BARE, distribution="ubuntu", version="22.04", codename="jammy")
NOBLE = replace(BARE, distribution="ubuntu", version="24.04", codename="noble")
RUNNING = {"engine": EngineState.ANSWERS, "engine_packages": ("docker.io",), "engine_programs": ("/usr/sbin/dockerd",)}
CARD = {"card": True, "card_evidence": ("PCI 0000:01:00.0 is NVIDIA 0x2684",)}
WITH_DRIVER = {**CARD, "driver": True}
TOOLKIT_INSTALL = [
    "apt-get update -q",
    f"{INSTALL} nvidia-container-toolkit",
    "nvidia-ctk runtime configure --runtime=docker",
    "sh -c 'mkdir -p /var/run/cdi && nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml'",
]


def commands(facts: SetupFacts) -> list[str]:
    plan = plan_setup(facts)
    assert plan.blocked is None, plan.blocked
    # The two commands that add the repository are long and have a test of their own.
    return [step.command for step in plan.steps if "nvidia.github.io" not in step.command]


def blocked(facts: SetupFacts) -> NotReadyError | TimedOutError:
    plan = plan_setup(facts)
    assert isinstance(plan.blocked, NotReadyError | TimedOutError)
    assert plan.steps == (), "a run that must fail does so before anything is downloaded"
    return plan.blocked


@pytest.mark.parametrize(
    ("facts", "packages"),
    [
        (BARE, "docker.io ca-certificates"),
        (JAMMY, "docker.io docker-buildx docker-compose-v2 ca-certificates"),
        (NOBLE, "docker.io docker-buildx docker-compose-v2 ca-certificates"),
        (replace(BARE, version="13"), "docker.io docker-cli docker-buildx docker-compose ca-certificates"),
    ],
    ids=["debian-12", "ubuntu-22.04", "ubuntu-24.04", "debian-13"],
)
def test_bare_machine_with_systemd(facts: SetupFacts, packages: str) -> None:
    assert commands(facts) == [
        "apt-get update -q",
        f"{INSTALL} {packages}",
        "systemctl enable docker",
        "systemctl start docker",
    ]


def test_bare_machine_without_systemd_starts_the_engine_detached() -> None:
    install = f"{INSTALL} docker.io ca-certificates"
    assert commands(replace(BARE, systemd=False)) == ["apt-get update -q", install, DETACHED]


def test_without_systemd_a_package_that_cannot_start_its_service_is_accepted() -> None:
    install = plan_setup(replace(BARE, systemd=False)).steps[1]
    assert install.accepted_when == "/usr/sbin/dockerd"
    assert plan_setup(BARE).steps[1].accepted_when is None


@pytest.mark.parametrize("base", [BARE, JAMMY, NOBLE], ids=["debian-12", "ubuntu-22.04", "ubuntu-24.04"])
def test_card_and_driver_bring_the_toolkit_with_the_engine(base: SetupFacts) -> None:
    steps = commands(replace(base, **WITH_DRIVER))
    assert steps[1].startswith(f"{INSTALL} docker.io") and steps[1].endswith("ca-certificates curl gnupg")
    assert steps[2:] == [*TOOLKIT_INSTALL, "systemctl enable docker", "systemctl restart docker"]


@pytest.mark.parametrize("base", [BARE, JAMMY, NOBLE], ids=["debian-12", "ubuntu-22.04", "ubuntu-24.04"])
def test_toolkit_beside_a_running_engine_restarts_it_when_nothing_runs(base: SetupFacts) -> None:
    steps = commands(replace(base, **RUNNING, **WITH_DRIVER))
    assert steps == [
        "apt-get update -q",
        f"{INSTALL} ca-certificates curl gnupg",
        *TOOLKIT_INSTALL,
        "systemctl restart docker",
    ]


def test_toolkit_beside_running_containers_stops_none_of_them() -> None:
    steps = commands(replace(BARE, **RUNNING, **WITH_DRIVER, running_containers=2))
    assert steps[-1] == "sh -c 'kill -HUP $(cat /var/run/docker.pid)'"
    assert not any("restart" in step for step in steps)


def test_installed_toolkit_is_only_configured() -> None:
    facts = replace(BARE, **RUNNING, **WITH_DRIVER, toolkit=True)
    assert commands(facts) == [*TOOLKIT_INSTALL[2:], "systemctl restart docker"]


@pytest.mark.parametrize("done", [{"runtime_configured": True}, {"cdi_specification": True}], ids=["runtime", "cdi"])
def test_machine_that_has_everything_needs_nothing(done: dict[str, bool]) -> None:
    assert commands(replace(BARE, **RUNNING, **WITH_DRIVER, toolkit=True, **done)) == []


def test_a_remote_engine_brings_its_own_toolkit() -> None:
    remote = {"engine": EngineState.ANSWERS, "engine_url": "tcp://build:2375", "engine_source": "DOCKER_HOST"}
    facts = replace(BARE, **WITH_DRIVER, **remote)
    assert commands(facts) == []


@pytest.mark.parametrize(
    ("base", "command"),
    [
        (BARE, "nvidia-driver firmware-misc-nonfree"),
        (JAMMY, "sudo ubuntu-drivers install"),
        (NOBLE, "sudo ubuntu-drivers install"),
        (replace(BARE, **RUNNING, distribution="fedora"), "https://docs.nvidia.com/"),
    ],
    ids=["debian-12", "ubuntu-22.04", "ubuntu-24.04", "fedora"],
)
def test_missing_driver_only_gets_its_command_printed(base: SetupFacts, command: str) -> None:
    plan = plan_setup(replace(base, **CARD))
    assert "0000:01:00.0" in plan.notes[0] and command in plan.notes[1]
    assert command in dry_run_text(plan)
    assert not any("nvidia" in step.command or "drivers" in step.command for step in plan.steps)


def test_no_card_no_note() -> None:
    assert plan_setup(BARE).notes == ()


def test_not_root_goes_through_sudo_and_needs_no_new_login() -> None:
    assert commands(replace(BARE, is_root=False, sudo=True)) == [
        "sudo apt-get update -q",
        f"sudo {INSTALL} docker.io ca-certificates acl",
        "sudo systemctl enable docker",
        "sudo systemctl start docker",
        "sudo usermod -aG docker ada",
        "sudo setfacl -m u:ada:rw /var/run/docker.sock",
    ]


def test_installed_engine_that_does_not_run_is_started_and_nothing_is_installed() -> None:
    stopped = replace(BARE, engine_packages=("docker-ce",), engine_programs=("/usr/bin/dockerd",))
    assert commands(stopped) == ["systemctl enable docker", "systemctl start docker"]
    assert commands(replace(stopped, systemd=False, engine=EngineState.DEAD)) == [DETACHED]


def test_missing_ssh_client_is_installed_even_where_the_engine_answers() -> None:
    assert commands(replace(BARE, **RUNNING, ssh_client=False)) == ["apt-get update -q", f"{INSTALL} openssh-client"]


def test_repository_is_trusted_through_the_pinned_key_only() -> None:
    plan = plan_setup(replace(BARE, **WITH_DRIVER))
    key, sources = (step.argv[2] for step in plan.steps if "nvidia.github.io" in step.command)
    assert "C95B321B61E88C1809C4F759DDCAE044F796ECB0" in key
    assert key.index(toolkit.KEY_FINGERPRINT) < key.index("--dearmor"), "compared before it is installed"
    assert sources == (
        "echo 'deb [signed-by=/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg] "
        "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /' "
        "> /etc/apt/sources.list.d/nvidia-container-toolkit.list"
    )


PODMAN = "unix:///run/podman/podman.sock"


@pytest.mark.parametrize(
    ("change", "cause", "next_step"),
    [
        ({"engine": EngineState.REFUSES}, "group docker", "administrator"),
        (
            {"engine": EngineState.REFUSES, "engine_url": PODMAN},
            "another user",
            "systemctl --user enable --now podman.sock",
        ),
        ({"engine_source": "DOCKER_HOST", "engine_url": PODMAN}, "DOCKER_HOST names", "start podman.socket"),
        ({"engine_source": "DOCKER_HOST", "engine_url": "tcp://gone:2375"}, "DOCKER_HOST names", "unset DOCKER_HOST"),
        ({"engine_source": "context lab", "engine_url": "unix:///x"}, "context lab names", "context use default"),
        ({"engine_packages": ("podman",), "engine_programs": ("/usr/bin/podman",)}, "Podman", "podman.socket"),
        ({"other_sockets": ("/run/user/7/docker.sock",)}, "/run/user/7/docker.sock", "DOCKER_HOST=unix:///run"),
        ({"engine": EngineState.DEAD}, "nothing answers there", "remove the file"),
        ({"distribution": "fedora", "version": "41", "apt": False}, "fedora 41", "Install Docker Engine"),
        ({"is_root": False, "sudo": False}, "sudo is not installed", "administrator"),
        ({"free_bytes": 24_000_000_000}, "24.0 GB are free at /var/lib/docker", "data-root"),
    ],
    ids=[
        "refuses",
        "podman-refuses",
        "podman-off",
        "docker-host",
        "context",
        "podman",
        "rootless",
        "dead-socket",
        "fedora",
        "no-rights",
        "disk",
    ],
)
def test_nothing_is_installed_where(change: dict[str, object], cause: str, next_step: str) -> None:
    error = blocked(replace(BARE, **change))  # type: ignore[arg-type]
    assert error.code == 3
    assert cause in error.cause and next_step in error.next_step


def test_a_refusing_socket_never_gets_sudo_as_advice() -> None:
    error = blocked(replace(BARE, engine=EngineState.REFUSES, is_root=False, sudo=True))
    assert error.cause_id == "docker-permission-denied"
    assert "sudo" not in error.cause + error.next_step


def test_hanging_engine_is_a_time_out() -> None:
    assert blocked(replace(BARE, engine=EngineState.HANGS)).code == 5


@pytest.mark.parametrize("change", [{"image": True}, {"engine_url": "ssh://lab", "engine": EngineState.UNKNOWN}])
def test_disk_counts_only_where_the_image_has_to_be_made(change: dict[str, object]) -> None:
    facts = replace(BARE, **RUNNING, free_bytes=1)
    assert plan_setup(replace(facts, **change)).blocked is None  # type: ignore[arg-type]


def test_dry_run_names_every_command_and_what_it_is_for() -> None:
    lines = dry_run_text(plan_setup(BARE)).splitlines()
    assert lines[:2] == ["# Read the package lists", "apt-get update -q"]
    assert len(lines) == 2 * len(plan_setup(BARE).steps)
