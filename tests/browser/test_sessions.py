"""Logging in, and staying in: wrong tokens, restarts, several environments in one browser, kernels that die."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.lab import Lab, origin
from tests.end_to_end.conftest import LaunchShared
from tests.end_to_end.environment import Started

if TYPE_CHECKING:
    import docker
    from playwright.sync_api import BrowserContext


def test_a_wrong_token_shows_the_login_page_and_no_contents(context: BrowserContext, environment: Started) -> None:
    base = origin(environment.result["url"])
    page = context.new_page()
    page.goto(f"{base}/lab?token=wrong")
    page.locator("input[type=password]").first.wait_for()
    assert page.url.startswith(f"{base}/login") and "cifar10.npz" not in page.content()
    assert page.request.get(f"{base}/api/contents").status == 403


def test_the_same_tab_works_again_after_stop_and_start(
    lab: Lab, environment: Started, shared_launcher: LaunchShared
) -> None:
    assert "token" not in lab.page.url, "the token does not stay in the address bar"
    for verb in ("stop", "start"):
        done = shared_launcher(verb, environment.name, cwd=environment.project)
        assert done.returncode == 0, done.stderr
    lab.go(lab.page.url)
    lab.go(environment.result["url"])


def test_two_environments_in_one_browser_stay_logged_in(
    context: BrowserContext, environment: Started, fresh_environment: Started
) -> None:
    """Cookies do not tell ports apart."""
    first = Lab.open(context, environment.result["url"])
    second = Lab.open(context, fresh_environment.result["url"])
    for lab, project in ((first, environment.project), (second, fresh_environment.project)):
        lab.go(lab.page.url)
        lab.menu("File", "New Launcher")
        lab.card("Text File").click()
        lab.page.locator(".jp-DirListing-item", has_text="untitled.txt").wait_for()
        assert (project / "untitled.txt").exists()


def test_a_notebook_runs_again_after_its_kernel_died_and_the_page_was_reloaded(
    lab: Lab, environment: Started, docker_client: docker.DockerClient
) -> None:
    write_notebook(environment.project / "pid.ipynb", "import os; print(os.getpid())")
    lab.go(f"{origin(environment.result['url'])}/lab/tree/pid.ipynb")
    lab.run_all()
    killed = lab.printed().strip()
    container = docker_client.containers.get(environment.result["container_id"])
    assert container.exec_run(["kill", "-KILL", killed]).exit_code == 0
    lab.page.get_by_text("appears to have died. It will restart automatically").wait_for()
    lab.go(lab.page.url)
    lab.run_all()
    assert lab.printed().strip() not in ("", killed)


def write_notebook(path: Path, source: str) -> None:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook))
    path.chmod(0o666)
