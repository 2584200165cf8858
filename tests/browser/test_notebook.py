"""The bundled notebook as a person meets it: found, copied on request, run to its end, looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.conftest import UID
from tests.browser.lab import Lab
from tests.conftest import RunLauncher
from tests.end_to_end.environment import Started
from tests.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

ERROR, STDERR = "application/vnd.jupyter.error", "application/vnd.jupyter.stderr"


def test_the_example_is_copied_on_request_and_runs_to_its_last_cell(
    context: BrowserContext, fresh_environment: Started
) -> None:
    project = fresh_environment.project
    lab = Lab.open(context, fresh_environment.result["url"])
    assert [path.name for path in project.iterdir()] == ["cifar10.npz"], "nothing is written unasked"
    lab.page.get_by_text("Example: train CIFAR-10").click()
    lab.run_all()
    assert lab.outputs(ERROR).count() == 0 and lab.outputs(STDERR).count() == 0, lab.printed()
    assert "device: CPU, because this container was started for the CPU: " in lab.printed()
    assert "of the test images right (CIFAR-10), after 3 epochs" in lab.printed()
    lab.menu("File", "Save Notebook")
    copy = project / "train-cifar10.ipynb"
    assert eventually(lambda: cells_with_a_picture(copy) == ["pictures", "train", "predict", "confusions"])
    assert (copy.stat().st_uid, next((project / "runs").glob("*/metrics.csv")).stat().st_uid) == (UID, UID)
    assert lab.elsewhere == [], "everything comes from the environment itself"


def cells_with_a_picture(path: Path) -> list[str]:
    """Ids of the cells whose outputs hold a PNG; none while the file is being written."""
    try:
        cells = json.loads(path.read_text())["cells"]
    except ValueError:
        return []
    return [cell["id"] for cell in cells if any("image/png" in out.get("data", ()) for out in cell.get("outputs", ()))]


def test_the_start_page_names_the_pytorch_of_its_kernel_and_asks_about_no_news(lab: Lab) -> None:
    assert "PyTorch 2" in lab.card("Python 3").inner_text()
    lab.page.wait_for_load_state("networkidle")
    assert lab.page.get_by_text("Jupyter news").count() == 0


def test_the_terminal_is_a_login_shell_with_the_environment_of_exec(
    lab: Lab, environment: Started, run_launcher: RunLauncher
) -> None:
    lab.card("Terminal").click()
    terminal = lab.page.locator(".jp-Terminal textarea")
    terminal.focus()
    written = environment.project / "terminal.txt"
    lab.page.keyboard.type("shopt -q login_shell && { pwd; printenv PATH VIRTUAL_ENV; } > t && mv t terminal.txt\n")
    assert eventually(written.exists)
    exec_ = run_launcher("exec", environment.name, "--", "sh", "-c", "pwd; printenv PATH VIRTUAL_ENV")
    assert written.read_text() == exec_.stdout and exec_.stdout.startswith("/workspace\n")


def test_a_notebook_that_was_edited_is_only_replaced_when_the_user_says_so(lab: Lab, environment: Started) -> None:
    edited = environment.project / "train-cifar10.ipynb"
    edited.write_text('{"cells": [], "metadata": {"mine": true}, "nbformat": 4, "nbformat_minor": 5}')
    lab.go(lab.page.url)
    before = edited.read_text()
    lab.page.get_by_text("Example: train CIFAR-10").click()
    dialog = lab.page.locator(".jp-Dialog")
    dialog.get_by_role("button", name="Cancel").click()
    assert edited.read_text() == before
