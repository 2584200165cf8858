"""What a run was asked to do, and what each model does where nothing was asked. Imports no torch: --help is instant."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides a run's loss curve, and what a checkpoint must say to be used."""

    model: str
    epochs: int
    batch_size: int  # images of one optimizer step over all ranks
    learning_rate: float
    widths: tuple[int, ...] = ()  # channels of fast's three groups
    flip: str = "none"  # or "random", or "alternating": each image is mirrored in every other epoch
    shift: int = 0  # by up to so many pixels
    label_smoothing: float = 0.0
    decay: bool = False  # the rates fall to 0 at the last of the epochs
    reduced: float = 0.0  # the first part of the epochs, 0 to 1, that is trained on smaller images
    six_views: bool = False  # tested so too
    seed: int = 0

    def identity(self) -> dict[str, Any]:
        """What a resumed run must share: all of it, but for the epochs where the rates do not depend on them."""
        return {name: value for name, value in asdict(self).items() if self.decay or name != "epochs"}


FAST = Recipe("fast", 8, 2000, 0.24, (64, 256, 256), "alternating", 2, 0.2, decay=True, six_views=True)
# fast on a CPU is as good as eight minutes of one core allow.
RECIPES = {
    ("simple", "cpu"): Recipe("simple", 10, 64, 1e-3),
    ("simple", "cuda"): Recipe("simple", 10, 64, 1e-3),
    ("fast", "cpu"): replace(FAST, batch_size=512, learning_rate=0.18, widths=(32, 128, 128), reduced=0.5),
    ("fast", "cuda"): FAST,
}
MODELS = ("simple", "fast")
# From how many images on torch.compile earns the time that it takes (measured on a CPU, estimated on a GPU).
COMPILE_FROM_IMAGES = {("simple", "cpu"): 1_500_000, ("simple", "cuda"): 5_000_000, ("fast", "cuda"): 10_000_000}


@dataclass(frozen=True, slots=True)
class Settings:
    """One command: None leaves a choice to the model's recipe; `out` is None for a new directory in ./runs."""

    model: str | None = None
    out: Path | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    data: Path = Path("data")
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0
    augment: bool = False
    compile: str = "auto"
    deterministic: bool = False
    plots: bool = True
    resume: str | None = None
    synthetic: bool = False
    mirror: str | None = None
    find_batch: bool = False
    repeat: int = 1

    def recipe(self, device: str) -> Recipe:
        """The model's recipe for "cpu" or "cuda" with what was asked otherwise."""
        own = RECIPES[self.model or MODELS[0], device]
        batch_size = self.batch_size or own.batch_size
        # By the square root, as suits optimizers whose steps do not grow with the gradient: arxiv.org/abs/2205.10287
        rate = self.learning_rate or own.learning_rate * (batch_size / own.batch_size) ** 0.5
        changes: dict[str, Any] = {"flip": "random", "shift": 4} if self.augment and own.flip == "none" else {}
        changes |= {"epochs": self.epochs or own.epochs, "batch_size": batch_size, "learning_rate": rate}
        return replace(own, seed=self.seed, **changes)

    def compiles(self, recipe: Recipe, device: str, images: int) -> bool:
        """Whether to compile a run of so many images an epoch; the same for every part of a resumed run."""
        least = COMPILE_FROM_IMAGES.get((recipe.model, device), float("inf"))
        return self.compile == "on" or (self.compile == "auto" and recipe.epochs * images >= least)
