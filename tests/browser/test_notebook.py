"""The bundled notebook as a person meets it: found, copied on request, run to its end, looked at."""

from __future__ import annotations

import json
from pathlib import Path

from tests.browser.conftest import UID
from tests.browser.lab import Lab
from tests.conftest import RunLauncher
from tests.end_to_end.environment import Started, eventually

ERROR, STDERR = "application/vnd.jupyter.error", "application/vnd.jupyter.stderr"


def test_the_example_is_copied_on_request_and_runs_to_its_last_cell(lab: Lab, environment: Started) -> None:
    assert [path.name for path in environment.project.iterdir()] == ["cifar10.npz"], "nothing is written unasked"
    lab.page.get_by_text("Example: train CIFAR-10").click()
    lab.run_all()
    assert lab.outputs(ERROR).count() == 0 and lab.outputs(STDERR).count() == 0, lab.printed()
    assert "device: CPU, as requested when this container was started" in lab.printed()
    assert "of the test images right (CIFAR-10), after 3 epochs" in lab.printed()
    lab.menu("File", "Save Notebook")
    copy = environment.project / "train-cifar10.ipynb"
    assert eventually(lambda: cells_with_a_picture(copy) == ["pictures", "train", "predict", "confusions"], 30)
    assert (copy.stat().st_uid, next((environment.project / "runs").glob("*/metrics.csv")).stat().st_uid) == (UID, UID)
    assert lab.elsewhere == [], "everything comes from the environment itself"


def cells_with_a_picture(path: Path) -> list[str]:
    """Ids of the cells whose outputs hold a PNG; none while the file is being written."""
    try:
        cells = json.loads(path.read_text())["cells"]
    except ValueError:
        return []
    return [cell["id"] for cell in cells if any("image/png" in out.get("data", ()) for out in cell.get("outputs", ()))]


def test_a_new_notebook_has_a_kernel_named_by_its_pytorch(lab: Lab) -> None:
    assert "PyTorch 2" in lab.card("Python 3").inner_text()
    assert lab.page.get_by_text("Jupyter news").count() == 0


def test_the_terminal_is_a_login_shell_with_the_environment_of_exec(
    lab: Lab, environment: Started, run_launcher: RunLauncher
) -> None:
    lab.card("Terminal").click()
    terminal = lab.page.locator(".jp-Terminal textarea")
    terminal.focus()
    written = environment.project / "terminal.txt"
    lab.page.keyboard.type("shopt -q login_shell && { pwd; printenv PATH VIRTUAL_ENV; } > t && mv t terminal.txt\n")
    assert eventually(written.exists, 30)
    exec_ = run_launcher("exec", environment.name, "--", "sh", "-c", "pwd; printenv PATH VIRTUAL_ENV")
    assert written.read_text() == exec_.stdout and exec_.stdout.startswith("/workspace\n")
