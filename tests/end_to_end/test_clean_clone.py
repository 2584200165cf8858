"""A clean clone in the hands of somebody else: uid 1234 in the docker group, a fresh home, an empty environment."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, lacking
from tests.end_to_end.environment import get

pytestmark = pytest.mark.usefixtures("jupyter_image", "ssh_image")


@dataclass(frozen=True, slots=True)
class Person:
    """A login of this machine with a home of its own."""

    name: str
    uid: int
    home: Path

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command as this person with nothing in the environment but PATH and HOME."""
        clean = ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={self.home}", *_pip_settings()]
        argv = ["runuser", "-u", self.name, "--", *clean, *command]
        return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=900)


def _pip_settings() -> list[str]:
    """The machine's own way to a package index, which a fresh home does not have."""
    return [f"{key}={value}" for key, value in os.environ.items() if key.startswith("PIP_") or key == "SSL_CERT_FILE"]


@pytest.fixture(scope="module")
def person() -> Iterator[Person]:
    if os.getuid() != 0 or shutil.which("useradd") is None or shutil.which("runuser") is None:
        lacking("another login can only be made by root, with useradd and runuser")
    try:
        group = grp.getgrnam("docker").gr_name
    except KeyError:
        lacking("this machine has no group docker")
    uid = 1234
    while any(entry.pw_uid == uid for entry in pwd.getpwall()):
        uid += 1
    name = f"gl-test-{secrets.token_hex(3)}"
    subprocess.run(["useradd", "--create-home", "--uid", str(uid), "--groups", group, name], check=True)
    yield Person(name, uid, Path(pwd.getpwnam(name).pw_dir))
    subprocess.run(["userdel", "--force", "--remove", name], check=True, capture_output=True)


@pytest.fixture(scope="module")
def clone(person: Person) -> Path:
    """A copy of the tracked and new files, owned by the person, as `git clone` would leave it."""
    directory = person.home / "a clone"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)
    subprocess.run(["chown", "-R", f"{person.name}:", str(directory)], check=True)
    return directory


def test_jupyter_and_ssh_from_a_clean_clone(person: Person, clone: Path) -> None:
    first = person.run("bin/launcher", "up", "--mode", "jupyter", "--yes", cwd=clone)
    try:
        assert first.returncode == 0, first.stderr
        assert re.match(r"Device: CPU \(.+\)", first.stderr.splitlines()[0])
        assert get(first.stdout.strip())[0] == 200
        assert (clone / "workspace").stat().st_uid == person.uid
        second = person.run("bin/launcher", "up", "--mode", "ssh", "--yes", "--json", cwd=clone)
        assert second.returncode == 0, second.stderr
        name = json.loads(second.stdout)["name"]
        login = person.run("ssh", name, 'python -c "import torch; print(torch.__version__)"; id -u', cwd=clone)
        assert (login.returncode, login.stderr) == (0, "")
        version, uid = login.stdout.split()
        assert version.startswith("2.8.0") and int(uid) == person.uid
    finally:
        listed = person.run("bin/launcher", "ls", "--json", cwd=clone)
        for environment in json.loads(listed.stdout)["environments"]:
            person.run("bin/launcher", "rm", environment["name"], "--yes", cwd=clone)


def test_others_environments_are_seen_only_with_all_and_never_touched(person: Person, clone: Path) -> None:
    roots_name = f"test-{secrets.token_hex(3)}"
    project = clone / "workspace"
    project.mkdir(exist_ok=True)
    made = subprocess.run(
        [str(ROOT / "bin/launcher"), "up", roots_name, "--mode", "jupyter", "--project", str(project)],
        capture_output=True,
        text=True,
    )
    try:
        assert made.returncode == 0, made.stderr
        mine = person.run("bin/launcher", "ls", "--json", cwd=clone)
        everyones = person.run("bin/launcher", "ls", "--all", "--json", cwd=clone)
        assert roots_name not in mine.stdout and roots_name in everyones.stdout
        for verb in ("stop", "down", "rm"):
            refused = person.run("bin/launcher", verb, roots_name, *(["--yes"] if verb == "rm" else []), cwd=clone)
            assert refused.returncode == 4 and "another user" in refused.stderr
    finally:
        subprocess.run([str(ROOT / "bin/launcher"), "rm", roots_name, "--yes"], capture_output=True)
