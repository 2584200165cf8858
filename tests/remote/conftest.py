"""A laptop and the machine gpu-box: two homes, and nothing between them but ssh."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from launcher.remote.runtime import BASE, tidy
from tests.conftest import ROOT, Completed, lacking
from tests.end_to_end.environment import new_name
from tests.end_to_end.private_engine import cache_directory
from tests.remote.ssh_server import UID, GpuBox, gpu_box
from tests.services import UnavailableError
from tests.waiting import eventually

# As the run was started with: each test has a home of its own, and the cache is the developer's.
ENVIRON = dict(os.environ)


@contextmanager
def boxed(*settings: str, group: bool = True) -> Iterator[GpuBox]:
    """gpu-box with the engine of this machine; see ssh_server.gpu_box."""
    try:
        # Not pytest's directory, which no other user may enter.
        with (
            tempfile.TemporaryDirectory(prefix="gl-box-", ignore_cleanup_errors=True) as name,
            gpu_box(cache_directory(ENVIRON).parent / "ssh-server", Path(name), *settings, group=group) as machine,
        ):
            yield machine
    except UnavailableError as error:
        lacking(str(error))


@pytest.fixture(scope="module")
def box() -> Iterator[GpuBox]:
    """gpu-box, shared by the tests of a module."""
    with boxed() as machine:
        yield machine


@dataclass
class Laptop:
    """A home from which the launcher is called; `names` are the environments it made."""

    home: Path
    box: GpuBox
    names: list[str] = field(default_factory=list)

    def run(self, *arguments: str, host: str = "ssh://gpu-box", cwd: Path | None = None, **environ: str) -> Completed:
        """bin/launcher on the laptop, for the engine at `host`."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "DOCKER_"))}
        own |= {"HOME": str(self.home), "DOCKER_HOST": host} | environ
        argv = [str(ROOT / "bin/launcher"), *arguments]
        done = subprocess.run(
            argv, cwd=cwd or self.home, env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
        )
        assert "Traceback" not in done.stderr
        return Completed(done.returncode, done.stdout, done.stderr)

    def up(self, mode: str, *arguments: str, name: str | None = None) -> dict[str, object]:
        """Start an environment on gpu-box and return what `up --json` says."""
        chosen = name or new_name(mode)
        self.names.append(chosen)
        project = self.box.home / "project"
        project.mkdir(exist_ok=True)
        os.chown(project, UID, UID)
        done = self.run("up", chosen, "--mode", mode, "--json", "--project", "project", *arguments)
        assert done.code == 0, done.stderr
        return dict(json.loads(done.stdout), first_line=done.stderr.splitlines()[0])

    def tunnels(self) -> list[dict[str, object]]:
        """What the laptop remembers of its tunnels."""
        records = (self.home / ".local/state/gpu-launcher/tunnels").glob("*.json")
        return [json.loads(record.read_text()) for record in records]

    def connections(self) -> list[str]:
        """Command lines of the ssh processes that the laptop left running."""
        config = f"{self.home}/.ssh/config"
        return [" ".join(words) for words in ssh_processes().values() if config in words and "-M" in words]

    def is_left_alone(self) -> bool:
        """Whether all its connections end: ssh goes some time after it was told to."""
        return eventually(lambda: not self.connections())


def ssh_processes() -> dict[int, list[str]]:
    """The command line of every ssh client that runs, by its process id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended since it was listed
            words = process.read_bytes().decode(errors="replace").split("\0")
            if words[0] == "ssh":
                found[int(process.parent.name)] = words
    return found


@pytest.fixture
def laptop(box: GpuBox, user_directories: Path) -> Iterator[Laptop]:
    """A laptop that knows gpu-box; at the end nothing of it runs any more."""
    machine = Laptop(user_directories, box)
    box.know(user_directories)
    yield machine
    for name in dict.fromkeys(machine.names):
        machine.run("rm", name, "--yes")
    for name in (BASE / f"gpu-launcher-{os.getuid()}").glob("*.ctl"):
        subprocess.run(["ssh", "-F", "/dev/null", "-S", str(name), "-O", "exit", "x"], capture_output=True)
    tidy(BASE / f"gpu-launcher-{os.getuid()}")
    assert machine.is_left_alone()
