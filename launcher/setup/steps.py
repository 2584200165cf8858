"""From what a machine has to the commands that make it ready, or to the reason why none may be run. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from launcher.errors import LauncherError
from launcher.setup import toolkit
from launcher.setup.detect import SetupFacts
from launcher.setup.engine_packages import engine_packages
from launcher.setup.obstacles import find_obstacle, has_engine_program
from launcher.setup.probe import EngineState

# Its own files: a service manager that is installed later must not take this engine for its own.
PID_FILE = "/run/gpu-launcher-dockerd.pid"
LOG_FILE = "/var/log/gpu-launcher-dockerd.log"
SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Step:
    """One command. Its failure is accepted when the file `accepted_when` exists afterwards; after a command with
    `starts_engine`, the engine's socket is waited for."""

    description: str
    argv: tuple[str, ...]
    accepted_when: str | None = None
    starts_engine: bool = False

    @property
    def command(self) -> str:
        """As it would be typed."""
        return shlex.join(self.argv)


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What to run, in order, what to tell, and why nothing may be run, if so."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    blocked: LauncherError | None = None


def plan_setup(facts: SetupFacts) -> SetupPlan:
    """Looked at in this order: card, driver, toolkit, engine, disk. A blocked plan has no steps."""
    notes = driver_notes(facts)
    steps = _steps(facts)
    blocked = find_obstacle(facts, needs_root=bool(steps), commands=tuple(step.command for step in steps))
    return SetupPlan((), notes, blocked) if blocked else SetupPlan(steps, notes)


def driver_notes(facts: SetupFacts) -> tuple[str, ...]:
    """A driver needs a reboot and a choice of kernel module, so it is never installed here: the command is printed."""
    if not facts.card or facts.driver:
        return ()
    why = f"NVIDIA card found ({facts.card_evidence[0] if facts.card_evidence else 'PCI'}), but no driver is loaded"
    return (f"{why}. Install it, reboot, then run `launcher setup` again:", f"  {_driver_command(facts)}")


def _driver_command(facts: SetupFacts) -> str:
    if facts.distribution == "ubuntu":
        # https://documentation.ubuntu.com/server/how-to/graphics/install-nvidia-drivers/
        return "sudo apt-get install -y ubuntu-drivers-common && sudo ubuntu-drivers install"
    if facts.distribution == "debian":
        # Debian's wiki, page NvidiaGraphicsDrivers.
        return (
            "(with contrib, non-free and non-free-firmware in the apt sources) sudo apt-get update && "
            "sudo apt-get install -y linux-headers-amd64 nvidia-driver firmware-misc-nonfree"
        )
    return "see NVIDIA Driver Installation Guide, https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"


def needs_toolkit(facts: SetupFacts) -> bool:
    """True where containers on this machine could use the GPU but for the toolkit. A remote engine has its own."""
    if not (facts.card and facts.driver and facts.engine_is_local):
        return False
    return not (facts.toolkit and (facts.runtime_configured or facts.cdi_specification))


def needs_engine(facts: SetupFacts) -> bool:
    """True where the default socket is meant and nothing serves it."""
    return facts.engine_is_local and facts.engine in (EngineState.ABSENT, EngineState.DEAD)


def _steps(facts: SetupFacts) -> tuple[Step, ...]:
    steps = [*_package_steps(facts)]
    if needs_toolkit(facts):
        steps += _toolkit_steps(facts)
    if needs_engine(facts):
        steps += _start_steps(facts)
    elif needs_toolkit(facts):
        steps.append(_activate_step(facts))
    return tuple(steps)


def _package_steps(facts: SetupFacts) -> list[Step]:
    packages: list[str] = []
    if needs_engine(facts) and not has_engine_program(facts):
        packages += [*(engine_packages(facts.distribution, facts.version) or ()), "ca-certificates"]
    if needs_engine(facts) and not facts.is_root:
        packages.append("acl")
    if needs_toolkit(facts) and not facts.toolkit:
        packages += [name for name in ("ca-certificates", "curl", "gnupg") if name not in packages]
    if not facts.ssh_client:
        packages.append("openssh-client")
    if not packages or not facts.apt:
        return []
    # docker.io's own start fails where there is no init system; dockerd is then started by a later step.
    accepted = "/usr/sbin/dockerd" if "docker.io" in packages and not facts.systemd else None
    return [
        _root(facts, "Read the package lists", "apt-get", "update", "-q"),
        _root(facts, f"Install {', '.join(packages)}", *_APT_INSTALL, *packages, accepted_when=accepted),
    ]


def _toolkit_steps(facts: SetupFacts) -> list[Step]:
    steps = []
    if not facts.toolkit:
        steps = [
            _root(facts, "Add NVIDIA's signing key, its fingerprint compared", "sh", "-c", toolkit.keyring_command()),
            _root(facts, "Add NVIDIA's package repository", "sh", "-c", toolkit.sources_command()),
            _root(facts, "Read the package lists", "apt-get", "update", "-q"),
            _root(facts, "Install the NVIDIA Container Toolkit", *_APT_INSTALL, toolkit.PACKAGE),
        ]
    steps.append(_root(facts, "Register the nvidia runtime", *toolkit.configure_command()))
    if not facts.cdi_specification:
        steps.append(_root(facts, "Describe the GPUs (CDI)", "sh", "-c", toolkit.specification_command()))
    return steps


def _start_steps(facts: SetupFacts) -> list[Step]:
    if facts.systemd:
        steps = [_root(facts, "Start the engine at every boot", "systemctl", "enable", "docker")]
        verb = "restart" if needs_toolkit(facts) else "start"
        steps.append(_root(facts, "Start the engine", "systemctl", verb, "docker", starts_engine=True))
    else:
        detached = f"setsid -f dockerd --pidfile {PID_FILE} < /dev/null >> {LOG_FILE} 2>&1"
        steps = [_root(facts, "Start the engine (there is no systemd)", "sh", "-c", detached, starts_engine=True)]
    if not facts.is_root:
        # The group counts from the next login on; the access list makes this first run work without one.
        steps.append(_root(facts, "Let you use the engine at later logins", "usermod", "-aG", "docker", facts.user))
        steps.append(_root(facts, "Let you use the engine now", "setfacl", "-m", f"u:{facts.user}:rw", SOCKET))
    return steps


def _activate_step(facts: SetupFacts) -> Step:
    """A running engine learns of a new runtime. SIGHUP is enough for that and stops no container; a restart also
    makes it look for CDI again: https://docs.docker.com/reference/cli/dockerd/#configuration-reload-behavior"""
    if facts.systemd and not facts.running_containers:
        return _root(facts, "Restart the engine (nothing runs)", "systemctl", "restart", "docker", starts_engine=True)
    reload = "kill -HUP $(cat /var/run/docker.pid)"
    if not facts.systemd:
        reload = f"kill -HUP $(cat {PID_FILE} 2>/dev/null || cat /var/run/docker.pid)"
    why = f"{facts.running_containers} running containers go on" if facts.running_containers else "no systemd"
    return _root(facts, f"Have the engine read its configuration again ({why})", "sh", "-c", reload, starts_engine=True)


_APT_INSTALL = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends")


def _root(
    facts: SetupFacts, description: str, *argv: str, accepted_when: str | None = None, starts_engine: bool = False
) -> Step:
    return Step(description, argv if facts.is_root else ("sudo", *argv), accepted_when, starts_engine)
