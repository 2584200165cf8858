# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""The exported file, loaded by a fresh Python that must not import the trainer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
import numpy as np
from cifar10.checkpoint import find, trained_learner
from cifar10.distributed import Process
from cifar10.inference import classify, export
from cifar10.settings import CLASSES, MODELS, Settings
from cifar10.train import train

ALONE = """
import sys
sys.modules["cifar10"] = None
import numpy, torch
extra = {"metadata.json": ""}
classifier = torch.export.load(sys.argv[1], extra_files=extra).module()
images = numpy.load("images.npy")
for count in (1, 7):
    numpy.save(f"{count}.npy", classifier(torch.from_numpy(images[:count])).numpy())
print(extra["metadata.json"])
"""


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest, npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A run of each model."""
    settings = Settings(model=request.param, out=tmp_path_factory.mktemp(request.param), device="cpu", data=npz)
    train(
        Settings(model=request.param, out=settings.out, device="cpu", data=npz, batch_size=128, epochs=2, plots=False)
    )
    return Settings(out=settings.out, device="cpu", precision="float32")


@pytest.fixture
def expected(trained: Settings, arrays: dict[str, Any]) -> Any:
    """What `predict` says of the first seven test images."""
    checkpoint = find(trained)
    learner = trained_learner(checkpoint, Process(torch.device("cpu")))
    probabilities = classify(learner, arrays["x_test"][:7], checkpoint.recipe.six_views)
    assert probabilities.std(0).max() > 1e-3  # else any answer would do
    return probabilities


def test_the_file_alone_classifies_as_predict_does(
    trained: Settings, expected: Any, arrays: dict[str, Any], tmp_path: Path
) -> None:
    result = export(trained, tmp_path / "it.pt2")
    np.save(tmp_path / "images.npy", arrays["x_test"][:7])
    alone = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, "it.pt2"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    metadata = json.loads(alone.stdout)
    assert metadata["classes"] == list(CLASSES) and metadata["model"] == result["model"]
    assert metadata["views"] == {"simple": 1, "fast": 6}[result["model"]]
    for count in (1, 7):
        probabilities = np.load(tmp_path / f"{count}.npy")
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, expected[:count], atol=1e-4)


def test_onnx_classifies_as_predict_does(
    trained: Settings, expected: Any, arrays: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name)
    runtime = pytest.importorskip("onnxruntime")
    export(trained, tmp_path / "it.onnx")
    session = runtime.InferenceSession(tmp_path / "it.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(CLASSES)
    for count in (1, 7):
        (probabilities,) = session.run(["probabilities"], {"images": arrays["x_test"][:count]})
        np.testing.assert_allclose(probabilities, expected[:count], atol=1e-4)


def test_what_cannot_be_exported_is_said_and_leaves_the_older_file(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it.pt2").write_bytes(b"older")
    cli("export", "it.bin").assert_failed(2, "it.bin", "*.pt2 or *.onnx")
    cli("export", "it.pt2").assert_failed(2, "there is no run in ./runs", "train first")
    monkeypatch.setattr("cifar10.inference.find_spec", lambda _name: None)
    cli("export", "it.onnx").assert_failed(2, "*.onnx needs onnx and onnxscript", "pip install onnx onnxscript")
    assert (tmp_path / "it.pt2").read_bytes() == b"older"


def test_a_full_disk_leaves_the_older_file(
    trained: Settings, cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: fsync says what it says on a full disk, and the network is not really exported."""

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "it.pt2").write_bytes(b"older")
    monkeypatch.setattr("cifar10.inference.serialise", lambda *_: b"content")
    monkeypatch.setattr("cifar10.files.os.fsync", full)
    cli("export", "it.pt2", "--out", trained.out).assert_failed(1, "cannot write it.pt2: No space left", "free space")
    assert (tmp_path / "it.pt2").read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir() if path.name != "machine"] == ["it.pt2"]
