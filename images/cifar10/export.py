"""The `export` command: a checkpoint as one file that classifies images without the trainer."""

import io
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cifar10.batches import DEVIATION, MEAN, averaged
from cifar10.checkpoint import trained_learner
from cifar10.device import Process
from cifar10.errors import TrainerError, UsageError
from cifar10.files import write_atomically
from cifar10.inference import find_checkpoint
from cifar10.settings import CLASSES, Settings

SHAPES = {"images": "uint8 (N, 32, 32, 3), red green blue", "probabilities": "float32 (N, 10)"}


class Classifier(nn.Module):
    """Network with normalisation, and six views of each image where `predict` takes them; shapes as in SHAPES."""

    constants: Tensor

    def __init__(self, network: nn.Module, views: bool) -> None:
        super().__init__()
        self.network, self.views = network.eval().requires_grad_(False), views
        self.register_buffer("constants", torch.tensor([MEAN, DEVIATION]))

    def forward(self, images: Tensor) -> Tensor:
        """Images -> probabilities."""
        pixels = ((images.float() - self.constants[0]) / self.constants[1]).permute(0, 3, 1, 2)
        return averaged(self.network, pixels, self.views).softmax(1)


def export(settings: Settings, file: Path) -> dict[str, Any]:
    """Write the checkpoint in --out (default: the newest in ./runs) to `file`, NAME.pt2 or NAME.onnx, in float32.

    What it returns stands in the file too. Raises TrainerError; an older `file` is then untouched.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if file.suffix not in (".pt2", ".onnx"):
        raise UsageError(f"{file}: this name tells no known format", "name it *.pt2 or *.onnx")
    if file.suffix == ".onnx" and missing:
        raise UsageError(f"*.onnx needs {' and '.join(missing)}", f"pip install {' '.join(missing)}, or name a *.pt2")
    checkpoint = find_checkpoint(settings)
    views = checkpoint.recipe.six_views
    classifier = Classifier(trained_learner(checkpoint, Process(torch.device("cpu"))).network, views)
    metadata = {"model": checkpoint.recipe.model, "classes": CLASSES, "views": 6 if views else 1} | SHAPES
    try:
        write_atomically(file, serialise(classifier, metadata, file.suffix))
    except OSError as error:
        raise TrainerError(f"cannot write {file}: {error.strerror}", "free space, or name another file") from error
    return metadata | {"checkpoint": str(checkpoint.path), "file": str(file)}


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
