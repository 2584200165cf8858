"""Facts of a machine -> the exact commands that set it up, or the reason why none may be run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from launcher.setup import toolkit
from launcher.setup.detect import SetupFacts
from launcher.setup.perform import dry_run_text
from launcher.setup.probe import EngineState
from launcher.setup.steps import plan_setup
from tests.unit.setup_machines import BARE, RUNNING

INSTALL = "env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
DETACHED = (
    "sh -c 'setsid -f dockerd --pidfile /run/gpu-launcher-dockerd.pid "
    "< /dev/null >> /var/log/gpu-launcher-dockerd.log 2>&1'"
)

JAMMY = replace(BARE, distribution="ubuntu", version="22.04", codename="jammy")
NOBLE = replace(BARE, distribution="ubuntu", version="24.04", codename="noble")
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


def test_dry_run_names_every_command_and_what_it_is_for() -> None:
    lines = dry_run_text(plan_setup(BARE)).splitlines()
    assert lines[:2] == ["# Read the package lists", "apt-get update -q"]
    assert len(lines) == 2 * len(plan_setup(BARE).steps)
