"""Small checkouts with the real wrappers. Their packages are wheels made here, so that no network is needed; that the
committed lock installs is shown by every run of bin/test itself."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.waiting import DEADLINE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
PATH = "/usr/bin:/bin"
# Stands in for the launcher: what it prints shows argv, isolation, directory, standard input and packages.
STAND_IN = """
import sys
def main():
    import first
    command, *rest = sys.argv[1:] or ["version"]
    if command == "version":
        print("packages", first.VERSION)
    elif command == "echo":
        print(rest, sys.stdin.read(), sys.argv[0])
    elif command == "path":
        print("\\n".join(sys.path))
    elif command == "fail":
        return int(rest[0])
"""


@pytest.fixture
def clone(tmp_path: Path, wheel: Path) -> Path:
    """A checkout under a path with a space: the real wrappers, a stand-in launcher and a lock of one wheel."""
    root = tmp_path / "a clone"
    (root / "launcher/cli").mkdir(parents=True)
    shutil.copytree(ROOT / "bin", root / "bin")
    (root / "launcher/__init__.py").touch()
    (root / "launcher/device.py").write_text("def main():\n    pass\n")
    (root / "launcher/cli/__init__.py").write_text(STAND_IN)
    lock(root, wheel)
    return root


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(tmp_path_factory.mktemp("wheel"), "1")


@pytest.fixture(scope="module")
def finished(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as the wrapper makes it, made once: most tests are about what comes after."""
    root = tmp_path_factory.mktemp("finished")
    shutil.copytree(ROOT / "bin", root / "bin")
    (root / "launcher/cli").mkdir(parents=True)
    (root / "launcher/cli/__init__.py").write_text(STAND_IN)
    lock(root, wheel)
    subprocess.run([str(root / "bin/launcher")], env={"PATH": PATH}, check=True, capture_output=True)
    return root / ".venv"


@pytest.fixture
def made(clone: Path, finished: Path) -> Path:
    """The clone after its first run."""
    shutil.copytree(finished, clone / ".venv", symlinks=True)
    return clone


def make_wheel(directory: Path, version: str) -> Path:
    """https://packaging.python.org/en/latest/specifications/binary-distribution-format/"""
    path = directory / f"first-{version}-py3-none-any.whl"
    files = {
        "first.py": f"VERSION = {version}\n",
        f"first-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: first\nVersion: {version}\n",
        f"first-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"first-{version}.dist-info/RECORD"
    lines = [f"{name},sha256={digest(text)},{len(text)}\n" for name, text in files.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**files, record: "".join(lines) + f"{record},,\n"}.items():
            wheel.writestr(name, text)
    return path


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def lock(root: Path, wheel: Path, sha256: str | None = None) -> None:
    found = sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest()
    (root / "requirements.txt").write_text(f"first @ {wheel.as_uri()} --hash=sha256:{found}\n")


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_clone(clone: Path, tmp_path: Path) -> Run:
    """Run the wrapper with an empty environment (`env -i`), from an unrelated directory."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def call(*arguments: str, program: Path = clone / "bin/launcher", stdin: str = "", **environ: str):  # type: ignore[no-untyped-def] # noqa: ANN202
        return subprocess.run(
            [str(program), *arguments], env={"PATH": PATH, **environ}, cwd=elsewhere, input=stdin,
            capture_output=True, text=True, timeout=DEADLINE_SECONDS,
        )  # fmt: skip

    return call
