"""A throw-away engine >= 28 for tests: own namespaces, data, socket and CDI directory, never the machine's own.

Network, mounts and processes live in namespaces of their own, so that docker0 and iptables of the machine stay
untouched, and so that nothing can outlive the engine however the test run ends. Published ports answer only inside
the network namespace: run what should reach them with `PrivateEngine.run`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.engine_programs import engine_programs
from tests.end_to_end.private_machine import everything, kept_directory, locked
from tests.services import engine_answers, wait_for_service
from tests.waiting import DEADLINE_SECONDS

# --kill-child: the kernel ends every process in the engine's process namespace when `unshare` ends.
NAMESPACES = (
    *("unshare", "--net", "--mount", "--propagation", "slave"),
    *("--pid", "--fork", "--kill-child", "--mount-proc"),
)
# The loopback first: a container that the engine starts again by itself publishes its port there.
DOCKERD = 'ip link set lo up && exec dockerd --config-file "$0"'
# `unshare` itself ends with the test run, also when that is killed.
TIED_TO_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")


@dataclass(slots=True)
class PrivateEngine:
    """A running engine. `pid` is the engine's as the machine counts, `process` the one that keeps its namespaces;
    `directory` holds socket and CDI specs."""

    pid: int
    directory: Path
    programs: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.directory}/engine.sock"

    @property
    def cdi_directory(self) -> Path:
        """The engine's only CDI spec directory; it is watched, so that a new spec counts at once."""
        return self.directory / "cdi"

    @property
    def client(self) -> Path:
        """The docker command of the engine's own version, with buildx and compose."""
        return self.programs / "usr/bin/docker"

    def environment(self) -> dict[str, str]:
        """What a program needs to talk to this engine."""
        return {"DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.directory / "client")}

    def run(
        self,
        *command: str,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = DEADLINE_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the engine's network namespace, where its published ports answer; `timeout` in seconds."""
        return subprocess.run(
            ["nsenter", "--target", str(self.pid), "--net", "--", *command],
            cwd=cwd,
            env={**os.environ, **self.environment(), **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def docker(self, *arguments: str, timeout: float = DEADLINE_SECONDS) -> str:
        """Standard output of a docker command; raises CalledProcessError when it fails."""
        done = self.run(str(self.client), *arguments, timeout=timeout)
        if done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, arguments, done.stdout, done.stderr)
        return done.stdout.strip()

    def restart(self) -> None:
        """As after a loss of power: the engine and all containers are killed, and it is started again."""
        self.process.kill()
        self.process.wait()
        # On a machine it is below /run, which is empty after a boot.
        shutil.rmtree(self.directory / "exec", ignore_errors=True)
        (self.directory / "engine.pid").unlink(missing_ok=True)
        self.process = _started(self.programs, self.directory)
        self.pid = _wait_until_started(self.process, self.directory)

    def everything(self) -> set[str]:
        """Containers, networks and volumes, whoever made them."""
        return everything(self.docker)


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Programs and images of the engine, kept between runs: 8 GB of images take minutes to load."""
    return kept_directory(environ, "GPU_LAUNCHER_TESTS_ENGINE", "engine-28")


@contextmanager
def private_engine(cache: Path) -> Iterator[PrivateEngine]:
    """Start the engine, stop it, and remove what it ran.

    Raises UnavailableError where it cannot run, with the reason.
    """
    with locked(cache, "a private engine", "gl-engine-") as directory:
        programs = engine_programs(cache)
        with _running(programs, directory, cache / "data") as engine:
            _remove_containers(engine)
            yield engine


@contextmanager
def _running(programs: Path, directory: Path, data: Path) -> Iterator[PrivateEngine]:
    for part in ("cdi", "client"):
        (directory / part).mkdir()
    (directory / "client/cli-plugins").symlink_to(programs / "usr/libexec/docker/cli-plugins")
    settings = {
        "features": {"cdi": True, "containerd-snapshotter": False},
        "cdi-spec-dirs": [str(directory / "cdi")],
        "data-root": str(data),
        "exec-root": str(directory / "exec"),
        "pidfile": str(directory / "engine.pid"),
        "hosts": [f"unix://{directory}/engine.sock"],
        "group": "root",
    }
    (directory / "daemon.json").write_text(json.dumps(settings))
    process = _started(programs, directory)
    engine = None
    try:
        engine = PrivateEngine(_wait_until_started(process, directory), directory, programs, process)
        yield engine
        _remove_containers(engine)
    finally:
        stop(engine.process if engine else process)


def _started(programs: Path, directory: Path) -> subprocess.Popen[bytes]:
    path = f"{programs}/usr/sbin:{programs}/usr/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
    with (directory / "log").open("ab") as log:
        return subprocess.Popen(
            [*TIED_TO_PARENT, *NAMESPACES, "--", "sh", "-c", DOCKERD, str(directory / "daemon.json")],
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _wait_until_started(process: subprocess.Popen[bytes], directory: Path) -> int:
    """The engine's pid, once its socket answers."""
    socket, log = directory / "engine.sock", directory / "log"
    wait_for_service(process, lambda: engine_answers(socket), log, "the private engine")
    return children(process.pid)[0]


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the engine itself to end, then `unshare`, whose end the kernel turns into the end of all the rest."""
    for engine in children(process.pid):
        subprocess.run(["kill", "-TERM", str(engine)], stderr=subprocess.DEVNULL)
    try:
        process.wait(DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    """Pids of a process's children, as the machine counts."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _remove_containers(engine: PrivateEngine) -> None:
    """What an interrupted run left in the cache must not meet the next one."""
    containers = engine.docker("ps", "--all", "--quiet").split()
    if containers:
        engine.docker("rm", "--force", "--volumes", *containers)
    engine.docker("network", "prune", "--force")
    engine.docker("volume", "prune", "--all", "--force")
