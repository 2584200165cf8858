"""Load a data set as `train` does, compare it with the arrays it was made of, and save arrays as class folders."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cifar10.data import Bytes, Dataset


def environ() -> dict[str, str]:
    """The environment of a process that imports what this one imports."""
    import cifar10

    sources = (Path(cifar10.__file__).parents[1], Path(__file__).parents[3])
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sources))}


def load(path: Path, said: list[str] | None = None) -> Dataset:
    """load_dataset() with --data `path`; the lines it prints go to `said`."""
    from cifar10.sources import load_dataset

    stream = io.StringIO()
    settings: Any = SimpleNamespace(data=path, synthetic=False, mirror="http://127.0.0.1:9")  # nobody answers there
    try:
        with redirect_stderr(stream):
            return load_dataset(settings)
    finally:
        if said is not None:
            said[:] = stream.getvalue().splitlines()


def assert_same(dataset: Dataset, arrays: dict[str, Any]) -> None:
    """The data set holds exactly these arrays."""
    import numpy as np

    for name, split in (("train", dataset.train), ("test", dataset.test)):
        np.testing.assert_array_equal(split.images, arrays[f"x_{name}"])
        np.testing.assert_array_equal(split.labels, arrays[f"y_{name}"])


def save_images(directory: Path, images: Bytes, labels: Bytes) -> None:
    """Each image as DIRECTORY/CLASS/NUMBER.png."""
    from cifar10.settings import CLASSES
    from PIL import Image

    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (directory / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(directory / CLASSES[label] / f"{number:03}.png")
