"""What a run leaves beside its checkpoint: metrics.csv and run.json; and the directory they lie in."""

import csv
import io
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy
import safetensors
import torch

from cifar10.checkpoint import INDEX
from cifar10.device import device_name, launcher_request, machine
from cifar10.errors import TrainerError
from cifar10.files import text_of, write_atomically
from cifar10.settings import MODELS, Settings

RUNS = Path("runs")


def newest_run(model: str | None = None, runs: Path = RUNS) -> Path | None:
    """The directory in ./runs whose checkpoint (of that model) was written last."""
    found = runs.glob(f"*-{model}/{INDEX}" if model else f"*/{INDEX}")
    return max((path.parent for path in found), key=lambda run: (run / INDEX).stat().st_mtime, default=None)


def new_run(settings: Settings) -> Path:
    """A new directory in ./runs, not yet made."""
    return RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-{settings.model or MODELS[0]}"


def run_directory(settings: Settings) -> Path:
    """--out, or with --resume the newest run of that model in ./runs, or a new directory there; made if missing."""
    resumed = newest_run(settings.model or MODELS[0]) if settings.resume else None
    directory = settings.out or resumed or new_run(settings)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot make {directory}: {error.strerror}", "give another --out") from error
    return directory


def write_metrics(directory: Path, history: list[dict[str, float]]) -> None:
    """Replace metrics.csv: one row an epoch; seconds and images_per_second are those of training alone."""
    text = io.StringIO()
    writer = csv.DictWriter(text, history[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_atomically(directory / "metrics.csv", text.getvalue().encode())


def write_manifest(directory: Path, settings: Settings, device: torch.device, facts: dict[str, Any]) -> None:
    """Replace run.json: arguments, versions, device; `facts` adds what only this run knows (data, ranks, precision)."""
    driver = text_of(Path("/proc/driver/nvidia/version")).splitlines()
    manifest = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "arguments": settings.as_json(),
        "device": {"type": device.type, "name": device_name(device), "threads": torch.get_num_threads()},
        "image": launcher_request(machine()).get("image"),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "numpy": numpy.__version__,
            "safetensors": safetensors.__version__,
            "driver": driver[0] if driver else None,
        },
        **facts,
    }
    write_atomically(directory / "run.json", (json.dumps(manifest, indent=2) + "\n").encode())
