"""A run's directory: its checkpoint, metrics.csv and run.json.

A checkpoint is one safetensors file with everything in it, and checkpoint.json, which names it with its sha256. That is
the commit: it is replaced last and atomically, and the older file is removed only afterwards, so that a crash or a full
disk at any moment leaves the previous checkpoint. No pickle is written or read.
"""

import hashlib
import json
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy
import safetensors.torch
import torch
from torch import Tensor

from cifar10.device import describe
from cifar10.distributed import Process
from cifar10.errors import TrainerError, UsageError
from cifar10.files import write_atomically
from cifar10.loop import Learner, Position, build_learner
from cifar10.settings import MODELS, Recipe, Settings
from envcheck.collect import system_root
from envcheck.probes.paths import read_text

SCHEMA_VERSION = 3
INDEX, RUNS = "checkpoint.json", Path("runs")
NEXT = "restore that directory from a backup, or train anew into another --out"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint: its tensors, the run's position and recipe, and the whole record beside the tensors."""

    path: Path
    tensors: dict[str, Tensor]
    position: Position
    recipe: Recipe
    record: dict[str, Any]

    def below(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix`, without it."""
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}

    def check(self, recipe: Recipe, data: str, resume: str | None) -> None:
        """Raise UsageError unless this run may go on with that recipe and data (a fingerprint), and is asked to."""
        out = self.path.parent
        if not resume:
            raise UsageError(f"{out} already holds a run", "continue it with --resume auto, or give another --out")
        saved, asked = self.recipe.identity() | {"data": self.record["data"]}, recipe.identity() | {"data": data}
        names = [name for name in asked if saved.get(name) != asked[name]]
        if names:
            what = ", ".join(f"{name.replace('_', '-')} {saved.get(name)} (now {asked[name]})" for name in names)
            raise UsageError(f"the run in {out} was started with {what}", "use the same arguments, or another --out")


def save(directory: Path, learner: Learner, position: Position, data: str) -> Path:
    """Write a checkpoint into `directory`, return its checkpoint.json. TrainerError: it cannot be, the last is kept."""
    optimizer, recipe = learner.optimizer.state_dict(), asdict(learner.recipe)
    tensors = {f"network.{name}": value for name, value in learner.network.state_dict().items()}
    for number, slots in optimizer["state"].items():
        tensors |= {f"optimizer.{number}.{slot}": value for slot, value in slots.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if learner.process.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(learner.process.device)
    record = {"position": asdict(position), "recipe": recipe, "data": data}
    record |= {"optimizer_groups": optimizer["param_groups"], "scaler": learner.scaler.state_dict()}
    packed = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content = safetensors.torch.save(packed, {"record": json.dumps(record)})
    digest = hashlib.sha256(content).hexdigest()
    # The digest in the name: no checkpoint ever overwrites another one that checkpoint.json may still name.
    name = f"checkpoint-{position.epoch:04}-{position.step:05}-{digest[:8]}.safetensors"
    index = {"schema_version": SCHEMA_VERSION, "file": name, "sha256": digest}
    index |= {"epoch": position.epoch, "step": position.step, **recipe, "data": data}
    try:
        write_atomically(directory / name, content)
        write_atomically(directory / INDEX, (json.dumps(index, indent=2) + "\n").encode())
    except OSError as error:
        problem = f"cannot write the checkpoint in {directory}: {error.strerror}; the previous one is kept"
        raise TrainerError(problem, "free space, then continue with --resume auto") from error
    for old in directory.glob("checkpoint-*.safetensors"):
        if old.name != name:
            old.unlink(missing_ok=True)
    return directory / INDEX


def load(directory: Path) -> Checkpoint | None:
    """The checkpoint of `directory`, or None when it has none. Raises TrainerError when it is damaged."""
    path = directory / INDEX
    if not path.exists():
        return None
    try:
        index = json.loads(path.read_bytes())
        version, expected = index["schema_version"], index["sha256"]
        file = directory / Path(index["file"]).name
        content = file.read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainerError(f"{path}: is not a usable checkpoint ({error})", NEXT) from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise TrainerError(f"{file}: is damaged: sha256 {actual}, expected {expected}", NEXT)
    if version not in (2, SCHEMA_VERSION):
        raise TrainerError(f"{path}: has schema version {version}, this trainer reads {SCHEMA_VERSION}", NEXT)
    # Layout of safetensors: 8 bytes little-endian header length, JSON header, tensor data.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    record = json.loads(header["__metadata__"]["record"])
    position = record["position"] | record["position"].pop("running", {})  # of version 2
    recipe = Recipe(**record["recipe"] | {"widths": tuple(record["recipe"]["widths"])})
    return Checkpoint(path, safetensors.torch.load(content), Position(**position), recipe, record)


def find(settings: Settings) -> Checkpoint:
    """The checkpoint in --out or of the newest run. Raises UsageError when there is none, or it is another model's."""
    directory = settings.out or newest_run(settings.model)
    found = load(directory) if directory else None
    if found is None:
        cause = f"{directory / INDEX} does not exist" if directory else f"there is no run in ./{RUNS}"
        raise UsageError(cause, "train first, or name the run's directory with --out")
    if settings.model not in (None, found.recipe.model):
        raise UsageError(f"{directory} holds a {found.recipe.model} model, not {settings.model}", "leave out --model")
    return found


def trained_learner(checkpoint: Checkpoint, process: Process) -> Learner:
    """A learner to use, not to train. Raises TrainerError where the weights are another model's."""
    learner = build_learner(checkpoint.recipe, process)
    restore_network(checkpoint, learner)
    return learner


def restore_network(checkpoint: Checkpoint, learner: Learner) -> None:
    """Put only the weights back. Raises TrainerError when they are another model's."""
    try:
        learner.network.load_state_dict(checkpoint.below("network."))
    except RuntimeError as error:
        raise TrainerError(f"{checkpoint.path}: does not fit this model ({error})", NEXT) from error


def restore(checkpoint: Checkpoint, learner: Learner) -> Position:
    """Put weights, optimizer, scaler and random state back; on the CPU the run then goes on bit for bit from there."""
    restore_network(checkpoint, learner)
    parameters = [p for group in learner.optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in checkpoint.below("optimizer.").items():
        number, _, slot = key.partition(".")
        # Same strides as the parameter: fused kernels walk both as one block of memory.
        like = parameters[int(number)]
        fits = value.shape == like.shape
        state.setdefault(int(number), {})[slot] = torch.empty_like(like).copy_(value) if fits else value
    learner.optimizer.load_state_dict({"state": state, "param_groups": checkpoint.record["optimizer_groups"]})
    learner.scaler.load_state_dict(checkpoint.record["scaler"])
    torch.set_rng_state(checkpoint.tensors["random.cpu"])
    if learner.process.device.type == "cuda" and "random.cuda" in checkpoint.tensors:
        torch.cuda.set_rng_state(checkpoint.tensors["random.cuda"], learner.process.device)
    return checkpoint.position


def newest_run(model: str | None = None) -> Path | None:
    """The directory in ./runs whose checkpoint (of that model) was written last."""
    found = RUNS.glob(f"*-{model}/{INDEX}" if model else f"*/{INDEX}")
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
    lines = [",".join(map(str, values)) for values in (history[0], *(row.values() for row in history))]
    write_atomically(directory / "metrics.csv", ("\n".join(lines) + "\n").encode())


def write_manifest(directory: Path, settings: Settings, learner: Learner, facts: dict[str, Any]) -> None:
    """Replace run.json: arguments, versions, device, recipe, and `facts`."""
    process = learner.process
    image = None
    with suppress(ValueError, AttributeError):  # without a launcher there is no such file
        image = json.loads(read_text(system_root(), "/run/gpu-launcher/request.json") or "").get("image")
    driver = (read_text(system_root(), "/proc/driver/nvidia/version") or "").partition("\n")[0]
    versions = {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda}
    versions |= {"cudnn": torch.backends.cudnn.version(), "driver": driver or None}
    versions |= {"numpy": numpy.__version__, "safetensors": safetensors.__version__}
    manifest = {"started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "arguments": asdict(settings)}
    manifest |= {"recipe": asdict(learner.recipe), "compiled": learner.compiled is not None, "ranks": process.size}
    manifest |= {"precision": str(process.precision).removeprefix("torch."), "device": describe(process.device)}
    manifest |= {"image": image, "versions": versions, **facts}
    write_atomically(directory / "run.json", (json.dumps(manifest, indent=2, default=str) + "\n").encode())
