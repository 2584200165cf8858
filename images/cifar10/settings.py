"""What a run was asked to do, and each model's defaults. Imports no torch: `--help` answers at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True, slots=True)
class Defaults:
    """A model's own choice for what the command line left open."""

    epochs: int
    batch_size: int
    learning_rate: float


DEFAULTS = {"simple": Defaults(epochs=10, batch_size=64, learning_rate=1e-3)}


@dataclass(frozen=True, slots=True)
class Settings:
    """One training run.

    `batch_size` counts the images of one optimizer step over all ranks; `out` is None for a new directory in ./runs.
    """

    model: str
    out: Path | None
    epochs: int
    batch_size: int
    learning_rate: float
    data: Path = Path("data")
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0
    augment: bool = False
    compile: bool = False
    resume: bool = False
    synthetic: bool = False
    mirror: str | None = None

    def curve(self) -> dict[str, Any]:
        """What decides the loss curve: a resumed run must agree in all of it."""
        names = ("model", "batch_size", "learning_rate", "seed", "augment", "synthetic")
        return {name: getattr(self, name) for name in names}

    def as_json(self) -> dict[str, Any]:
        """Every argument, ready for JSON."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
