"""A real Chromium and environments that `bin/launcher up --mode jupyter` started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import Lab
from tests.browser.pictures import write_npz
from tests.conftest import lacking
from tests.end_to_end.conftest import LaunchShared, shared_launcher  # noqa: F401 (fixture)
from tests.end_to_end.environment import Started, new_name, project_of, started_from

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

UID = 1234


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    program = shutil.which("chromium")
    if program is None:
        lacking("no chromium (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox refuses root.
        running = playwright.chromium.launch(executable_path=program, chromium_sandbox=os.geteuid() != 0)
        yield running
        running.close()


@pytest.fixture
def context(browser: Browser, tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser nobody has used yet; how its pages looked at the end lies in tmp_path."""
    fresh = browser.new_context(viewport={"width": 1400, "height": 900})
    fresh.set_default_timeout(180_000)
    yield fresh
    for number, page in enumerate(fresh.pages):
        page.screenshot(path=tmp_path / f"page-{number}.png")
    fresh.close()


@pytest.fixture
def lab(context: BrowserContext, environment: Started) -> Lab:
    """The environment in a fresh browser, by the URL that `up` printed; what an earlier test left open is closed."""
    return Lab.open(context, environment.result["url"] + "&reset")


@pytest.fixture(scope="package")
def environment(
    jupyter_image: str, shared_launcher: LaunchShared, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Started]:
    """A JupyterLab environment whose project holds a small, invented cifar10.npz and nothing else."""
    yield from _started(shared_launcher, tmp_path_factory.mktemp("browser") / "project")


@pytest.fixture
def fresh_environment(jupyter_image: str, shared_launcher: LaunchShared, tmp_path: Path) -> Iterator[Started]:
    """Another one beside it, for one test alone."""
    yield from _started(shared_launcher, tmp_path / "second")


def _started(launcher: LaunchShared, project: Path) -> Iterator[Started]:
    name = new_name("jupyter")
    write_npz(project_of(project, UID) / "cifar10.npz")
    # One thread: PyTorch's threads spin, and more of them than free processors crawl.
    done = launcher("up", name, "--mode", "jupyter", "--yes", "--json", "-e", "OMP_NUM_THREADS=1", cwd=project)
    try:
        assert done.returncode == 0, done.stderr
        yield started_from(done.stdout, done.stderr, project)
    finally:
        launcher("rm", name, "--yes", cwd=project)
