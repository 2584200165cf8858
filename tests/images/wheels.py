"""Packages made here, so that tests of pip download nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path

# Says that it began, then builds nothing until it is let go.
WAITING_SETUP = """
import os, pathlib, time
from setuptools import setup
pathlib.Path("/marks/began").touch()
while not os.path.exists("/marks/go"):
    time.sleep(0.1)
setup(name="waiting", version="1", py_modules=["waiting"])
"""


def write_wheel(directory: Path, name: str, version: str, requires: str | None = None) -> None:
    """A wheel of one module called `name` with `version` in it."""
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def write_waiting_package(directory: Path) -> None:
    """A source directory, `waiting`, whose installation waits for the file /marks/go."""
    source = directory / "waiting"
    source.mkdir()
    (source / "setup.py").write_text(WAITING_SETUP)
    (source / "waiting.py").write_text("version = '1'\n")
