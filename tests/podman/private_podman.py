"""A throw-away Podman of Debian 12 for tests: its programs in a cache, nothing installed, nothing left running.

Its service has namespaces of its own for mounts, processes and network. There, Podman's packages lie over /usr and
/etc; the machine itself sees neither them nor Podman's bridge, and all of it ends with the test run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.engine_programs import unpacked
from tests.end_to_end.private_engine import NAMESPACES, TIED_TO_PARENT, children, stop
from tests.end_to_end.private_machine import everything, kept_directory, locked
from tests.services import engine_answers, wait_for_service
from tests.waiting import DEADLINE_SECONDS

SUITE = "bookworm"
PACKAGES = (
    *("podman", "conmon", "catatonit", "netavark", "aardvark-dns", "uidmap", "fuse-overlayfs", "slirp4netns"),
    *("golang-github-containers-common", "golang-github-containers-image"),
    *("libgpgme11", "libyajl2", "libfuse3-3", "libslirp0", "libsubid4"),
)
# The uid of an ordinary user of that machine, with subordinate uids and what slirp4netns needs.
ROOTLESS = 4321
ALL = ("--net", "--mount", "--pid")
# In a container, as on many build machines, limits cannot be raised, and there is no systemd to ask for a cgroup.
CONTAINERS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
network_backend = "netavark"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[engine.runtimes]
runc = ["/usr/sbin/runc", "/usr/bin/runc"]
"""
# What Podman writes stays in $0, which is removed, or in $CACHE, which its database wants at one place always.
KEPT = "/var/podman-tests"
SERVICE = f"""
set -eu
ip link set lo up
over() {{ mount -t overlay overlay -o "lowerdir=$2,upperdir=$0/$1,workdir=$0/work-$1" "/$1"; }}
mount -t overlay overlay -o "lowerdir=/usr:$PROGRAMS/usr" /usr
over etc "/etc:$PROGRAMS/etc"
over var /var
mkdir -p /etc/cdi
mount --bind "$0/cdi" /etc/cdi
mount -t tmpfs tmpfs /run
mkdir {KEPT} /run/user /run/user/{ROOTLESS}
chown {ROOTLESS} /run/user/{ROOTLESS}
mount --bind "$CACHE" {KEPT}
echo "rootless:x:{ROOTLESS}:{ROOTLESS}::$0/home:/bin/sh" >> /etc/passwd
for file in subuid subgid; do echo "rootless:200000:65536" >> "/etc/$file"; done
mknod -m 666 "$0/tun" c 10 200
mount --bind "$0/tun" /dev/net/tun
mount --make-rshared /
exec podman --root {KEPT}/store system service --time 0 "unix://$0/podman.sock"
"""


@dataclass(frozen=True, slots=True)
class PrivatePodman:
    """A running service. `pid` is its own as the machine counts; `directory` holds its socket and CDI specs."""

    pid: int
    directory: Path

    @property
    def url(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.directory}/podman.sock"

    @property
    def cdi_directory(self) -> Path:
        """/etc/cdi, as the service and what `run` starts see it."""
        return self.directory / "cdi"

    def inside(self, *command: str, cwd: Path = Path("/"), namespaces: Sequence[str] = ALL) -> list[str]:
        """A command as it is started on Podman's machine: where its ports answer, and its programs are."""
        return ["nsenter", "--target", str(self.pid), *namespaces, f"--wd={cwd}", "--", *command]

    def run(
        self,
        *command: str,
        environ: Mapping[str, str] | None = None,
        cwd: Path = Path("/"),
        timeout: float = DEADLINE_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there; `timeout` in seconds."""
        return subprocess.run(
            self.inside(*command, cwd=cwd),
            env={**os.environ, "DOCKER_HOST": self.url, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def podman(self, *arguments: str) -> str:
        """Standard output of the podman command; raises CalledProcessError when it fails."""
        done = self.run("podman", "--remote", "--url", self.url, *arguments)
        if done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, arguments, done.stdout, done.stderr)
        return done.stdout.strip()

    def everything(self) -> set[str]:
        """Containers, networks and volumes."""
        return everything(self.podman)


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Programs and images of Podman, kept between runs."""
    return kept_directory(environ, "GPU_LAUNCHER_TESTS_PODMAN", "podman")


@contextmanager
def private_podman(cache: Path) -> Iterator[PrivatePodman]:
    """Start the service, stop it, and remove what it ran; the images stay in `cache`.

    Raises UnavailableError where it cannot run, with the reason.
    """
    with locked(cache, "a private Podman", "gl-podman-") as directory:
        programs = unpacked(cache, SUITE, PACKAGES)
        with _running(programs, cache, directory) as podman:
            yield podman


@contextmanager
def _running(programs: Path, cache: Path, directory: Path) -> Iterator[PrivatePodman]:
    # Users other than root look into it.
    directory.chmod(0o755)
    for part in ("etc", "work-etc", "var", "work-var", "cdi", "home"):
        (directory / part).mkdir()
    shutil.copymode("/etc", directory / "etc")
    (cache / "rootless").mkdir(exist_ok=True)
    for place in (directory / "home", cache / "rootless"):
        os.chown(place, ROOTLESS, ROOTLESS)
    settings = directory / "containers.conf"
    settings.write_text(CONTAINERS)
    variables = {"PROGRAMS": programs, "CACHE": cache, "CONTAINERS_CONF": settings}
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [*TIED_TO_PARENT, *NAMESPACES, "--", "sh", "-c", SERVICE, str(directory)],
            env={**os.environ, **{name: str(value) for name, value in variables.items()}},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        podman = PrivatePodman(_wait_until_started(process, directory), directory)
        _remove_containers(podman)
        yield podman
        _remove_containers(podman)
    finally:
        stop(process)


def _wait_until_started(process: subprocess.Popen[bytes], directory: Path) -> int:
    """The service's pid, once its socket answers."""
    wait_for_service(process, lambda: engine_answers(directory / "podman.sock"), directory / "log", "Podman")
    return children(process.pid)[0]


def _remove_containers(podman: PrivatePodman) -> None:
    """What an interrupted run left in the cache must not meet the next one."""
    podman.podman("rm", "--all", "--force", "--volumes")
    podman.podman("network", "prune", "--force")
    podman.podman("volume", "prune", "--force")
