"""Fake driver libraries, compiled once a session."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "fakedrivers"


def build(directory: Path, *libraries: tuple[str, str], flags: tuple[str, ...] = ()) -> Path:
    """Compile `(source, library)` pairs into `directory`."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the fake driver libraries cannot be built")
    directory.mkdir(exist_ok=True)
    for source, library in libraries:
        target = directory / library
        command = [compiler, "-shared", "-fPIC", *flags, "-o", str(target), str(SOURCES / source), "-ldl"]
        subprocess.run(command, check=True)
    return directory


@pytest.fixture(scope="session")
def fake_cuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with only a fake libcuda.so.1."""
    return build(tmp_path_factory.mktemp("drivers") / "cuda", ("libcuda.c", "libcuda.so.1"))


@pytest.fixture(scope="session")
def fake_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a fake libcuda.so.1 and libnvidia-ml.so.1."""
    directory = tmp_path_factory.mktemp("drivers") / "both"
    return build(directory, ("libcuda.c", "libcuda.so.1"), ("libnvml.c", "libnvidia-ml.so.1"))


@pytest.fixture(scope="session")
def old_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the functions of a driver before 535."""
    directory = tmp_path_factory.mktemp("drivers") / "old"
    libraries = ("libcuda.c", "libcuda.so.1"), ("libnvml.c", "libnvidia-ml.so.1")
    return build(directory, *libraries, flags=("-DOLD_DRIVER",))


@pytest.fixture(scope="session")
def socket_watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library for LD_PRELOAD that writes down every internet socket and refuses it."""
    return build(tmp_path_factory.mktemp("watch"), ("libsocketwatch.c", "libsocketwatch.so")) / "libsocketwatch.so"
