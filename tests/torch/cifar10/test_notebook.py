"""The bundled notebook, run from its first cell to its last in a real kernel."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = Path(__file__).parents[3] / "images/cifar10/notebook/train-cifar10.ipynb"


@pytest.fixture
def notebook(tmp_path: Path) -> Any:
    """The notebook as it is shipped; it finds no data but what a test gives it."""
    return nbformat.read(NOTEBOOK, as_version=4)


def run(notebook: Any, directory: Path) -> dict[str, str]:
    """Run every cell in `directory`; what each printed, by its id. Raises CellExecutionError."""
    kernel = {"name": "python3", "display_name": sys.executable, "language": "python"}
    notebook.metadata["kernelspec"] = kernel
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(directory)}}).execute()
    return {cell.id: "".join(out.get("text", "") for out in cell.get("outputs", ())) for cell in notebook.cells}


def kinds(cell: Any) -> set[str]:
    """MIME types of a cell's outputs, and the names of its streams."""
    return {kind for out in cell.get("outputs", ()) for kind in (*out.get("data", ()), out.get("name")) if kind}


def test_it_is_shipped_valid_and_without_outputs(notebook: Any) -> None:
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    # Ids that a tool made up would change with every edit.
    assert all(cell.id.replace("-", "").isalpha() for cell in notebook.cells)


def test_it_trains_and_draws_from_the_first_cell_to_the_last(notebook: Any, npz: Path, tmp_path: Path) -> None:
    (tmp_path / "cifar10.npz").symlink_to(npz)
    printed = run(notebook, tmp_path)
    assert printed["device"].startswith("device: CPU, because no NVIDIA card was found")
    assert "CIFAR-10: 513 to train on, 201 to test with (npz cifar10.npz)" in printed["data"]
    drawn = [cell.id for cell in notebook.cells if "image/png" in kinds(cell)]
    assert drawn == ["pictures", "train", "predict", "confusions"]
    assert not any("stderr" in kinds(cell) for cell in notebook.cells)
    assert "of the test images right (CIFAR-10), after 3 epochs" in printed["summary"]
    (metrics,) = (tmp_path / "runs").glob("*/metrics.csv")
    accuracy = float(list(csv.DictReader(metrics.open()))[-1]["test_accuracy"])
    assert printed["summary"].startswith(f"{accuracy:.1%} of the test images right")


def test_the_fast_model_is_a_line_away(notebook: Any, npz: Path, tmp_path: Path) -> None:
    """Its line without the #, for one epoch."""
    (tmp_path / "cifar10.npz").symlink_to(npz)
    (cell,) = [cell for cell in notebook.cells if cell.id == "data"]
    offered = '# options = ["--model", "fast"]'
    assert offered in cell.source
    cell.source = cell.source.replace(offered, 'options = ["--model", "fast", "--epochs", "1"]')
    assert "of the test images right (CIFAR-10), after 1 epochs" in run(notebook, tmp_path)["summary"]
    (manifest,) = (tmp_path / "runs").glob("*-fast/run.json")
    assert json.loads(manifest.read_text())["recipe"]["model"] == "fast"


def test_without_data_and_network_it_says_that_the_images_are_invented(
    notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR10_MIRROR", "http://127.0.0.1:9")  # the discard port: nobody answers
    notebook.cells = notebook.cells[: 1 + [cell.id for cell in notebook.cells].index("pictures")]
    notebook.cells.append(nbformat.v4.new_code_cell("print(names, what)", id="names"))
    printed = run(notebook, tmp_path)
    assert "cannot be downloaded" in printed["data"] and "INVENTED" in printed["data"]
    assert "downloading the official archive" in printed["data"]
    assert not any("stderr" in kinds(cell) for cell in notebook.cells)
    assert "pattern 0" in printed["names"] and printed["names"].strip().endswith("invented images")


def test_data_that_was_named_but_is_broken_is_an_error_with_its_next_step(
    notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.npz").write_bytes(b"not an archive")
    monkeypatch.setenv("CIFAR10_DATA", "broken.npz")
    with pytest.raises(nbclient.exceptions.CellExecutionError) as failed:
        run(notebook, tmp_path)
    assert "broken.npz: is not a readable .npz file" in str(failed.value)
    assert "next: correct it" in str(failed.value)
