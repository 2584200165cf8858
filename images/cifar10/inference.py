"""The `eval`, `predict` and `export` commands: what a trained checkpoint is good for."""

import io
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cifar10 import checkpoint
from cifar10.batches import DEVIATION, MEAN, averaged, move_to_device
from cifar10.data import Bytes, Split
from cifar10.device import start, start_clock
from cifar10.distributed import Process
from cifar10.errors import TrainerError, UsageError
from cifar10.files import write_atomically
from cifar10.folder import read_image
from cifar10.loop import Learner, all_logits, evaluate
from cifar10.settings import CLASSES, Settings
from cifar10.sources import load_dataset

SHAPES = {"images": "uint8 (N, 32, 32, 3), red green blue", "probabilities": "float32 (N, 10)"}


def evaluate_command(settings: Settings) -> dict[str, Any]:
    """Evaluate the checkpoint in --out (default: the newest in ./runs)."""
    process, found = start(settings.device, settings.precision), checkpoint.find(settings)
    learner, recipe = checkpoint.trained_learner(found, process), found.recipe
    test, clock = move_to_device(load_dataset(settings).test, process.device), start_clock(process.device)
    loss, accuracy = evaluate(learner, test)
    seconds = clock()
    result = {"test_accuracy": accuracy, "test_loss": loss, "images_per_second": round(len(test) / seconds, 1)}
    if recipe.six_views:
        result["test_accuracy_six_views"] = evaluate(learner, test, six_views=True)[1]
    result |= {"device": process.device.type, "epochs": found.position.epoch, "seconds": round(seconds, 3)}
    return result | {"model": recipe.model, "checkpoint": str(found.path)}


def predict(settings: Settings, paths: list[Path]) -> dict[str, Any]:
    """Classify image files; `predictions` hold each one's label, its probability (0..1) and that of every class."""
    pixels, found = np.stack([read_image(path) for path in paths]), checkpoint.find(settings)
    process = start(settings.device, settings.precision)
    probabilities = classify(checkpoint.trained_learner(found, process), pixels, found.recipe.six_views)
    predictions = []
    for path, row in zip(paths, probabilities.tolist(), strict=True):
        classes = {name: round(value, 4) for name, value in zip(CLASSES, row, strict=True)}
        label = CLASSES[row.index(max(row))]
        predictions.append({"file": str(path), "label": label, "probability": classes[label], "classes": classes})
    return {"predictions": predictions, "device": process.device.type, "checkpoint": str(found.path)}


def classify(learner: Learner, pixels: Bytes, six_views: bool = False) -> NDArray[np.float32]:
    """Class probabilities (N, 10) of images uint8 (N, 32, 32, 3), on one rank; `six_views` averages those of each."""
    data = move_to_device(Split(pixels, np.zeros(len(pixels), np.uint8)), learner.process.device)
    return all_logits(learner, data, slice(None), six_views).softmax(1).cpu().numpy()


class Classifier(nn.Module):
    """Network with normalisation, and six views of each image where `predict` takes them; shapes as in SHAPES."""

    def __init__(self, network: nn.Module, six_views: bool) -> None:
        super().__init__()
        self.network, self.six_views = network.eval().requires_grad_(False), six_views
        self.register_buffer("constants", torch.tensor([MEAN, DEVIATION]))

    def forward(self, images: Tensor) -> Tensor:
        """Images -> probabilities."""
        pixels = ((images.float() - self.constants[0]) / self.constants[1]).permute(0, 3, 1, 2)
        return averaged(self.network, pixels, self.six_views).softmax(1)


def export(settings: Settings, file: Path) -> dict[str, Any]:
    """Write NAME.pt2 or NAME.onnx, in float32, whole or not at all; what is returned stands in the file too."""
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if file.suffix not in (".pt2", ".onnx"):
        raise UsageError(f"{file}: this name tells no known format", "name it *.pt2 or *.onnx")
    if file.suffix == ".onnx" and missing:
        raise UsageError(f"*.onnx needs {' and '.join(missing)}", f"pip install {' '.join(missing)}, or name a *.pt2")
    found = checkpoint.find(settings)
    recipe, learner = found.recipe, checkpoint.trained_learner(found, Process(torch.device("cpu")))
    metadata = {"model": recipe.model, "classes": CLASSES, "views": 6 if recipe.six_views else 1} | SHAPES
    try:
        write_atomically(file, serialise(Classifier(learner.network, recipe.six_views), metadata, file.suffix))
    except OSError as error:
        raise TrainerError(f"cannot write {file}: {error.strerror}", "free space, or name another file") from error
    return metadata | {"checkpoint": str(found.path), "file": str(file)}


def serialise(classifier: nn.Module, metadata: dict[str, Any], suffix: str) -> bytes:
    """The file's content; metadata is "metadata.json" among a .pt2's extra files, and metadata properties in .onnx."""
    # An example of one image would fix the batch size at 1.
    example, shapes = torch.zeros(2, 32, 32, 3, dtype=torch.uint8), {"images": {0: torch.export.Dim("N")}}
    program = torch.export.export(classifier, (example,), dynamic_shapes=shapes)
    if suffix == ".pt2":
        content = io.BytesIO()
        torch.export.save(program, content, extra_files={"metadata.json": json.dumps(metadata)})
        return content.getvalue()
    names = {"input_names": ["images"], "output_names": ["probabilities"]}
    onnx = torch.onnx.export(program, dynamo=True, verbose=False, **names)
    onnx.model.metadata_props.update({name: json.dumps(value) for name, value in metadata.items()})
    return onnx.model_proto.SerializeToString()
