"""Checkpoints: one safetensors file with everything in it, and checkpoint.json, which names it with its sha256.

checkpoint.json is the commit: it is replaced last and atomically, and the older file is removed only afterwards, so
that a crash or a full disk at any moment leaves the previous checkpoint. No pickle is written or read.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from cifar10.device import Process
from cifar10.errors import TrainerError
from cifar10.files import write_atomically
from cifar10.learner import Learner, build_learner
from cifar10.loop import EpochState
from cifar10.settings import Recipe

SCHEMA_VERSION = 2
INDEX = "checkpoint.json"
NEXT = "restore that directory from a backup, or train anew into another --out"


@dataclass(slots=True)
class Position:
    """How far a run is: whole epochs done, the running epoch's state, and one metrics row for each whole epoch."""

    epoch: int = 0
    running: EpochState = field(default_factory=EpochState)
    history: list[dict[str, float]] = field(default_factory=list)


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


def save_checkpoint(directory: Path, learner: Learner, position: Position, data: str) -> Path:
    """Write a checkpoint into `directory` and return the path of its checkpoint.json; `data` is a fingerprint.

    Raises TrainerError when it cannot be written; the previous checkpoint is then still in place.
    """
    content = _serialise(learner, position, data)
    digest = hashlib.sha256(content).hexdigest()
    # The digest in the name: no checkpoint ever overwrites another one that checkpoint.json may still name.
    name = f"checkpoint-{position.epoch:04}-{position.running.step:05}-{digest[:8]}.safetensors"
    index = {"schema_version": SCHEMA_VERSION, "file": name, "sha256": digest}
    index |= {"epoch": position.epoch, "step": position.running.step, **asdict(learner.recipe), "data": data}
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


def _serialise(learner: Learner, position: Position, data: str) -> bytes:
    optimizer, device = learner.optimizer.state_dict(), learner.process.device
    tensors = {f"network.{name}": value for name, value in learner.network.state_dict().items()}
    for number, slots in optimizer["state"].items():
        tensors |= {f"optimizer.{number}.{slot}": value for slot, value in slots.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    record = {
        "position": asdict(position),
        "recipe": asdict(learner.recipe),
        "data": data,
        "optimizer_groups": optimizer["param_groups"],
        "scaler": learner.scaler.state_dict(),
    }
    packed = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return safetensors.torch.save(packed, {"record": json.dumps(record)})


def load_checkpoint(directory: Path) -> Checkpoint | None:
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
    if version != SCHEMA_VERSION:
        raise TrainerError(f"{path}: has schema version {version}, this trainer reads {SCHEMA_VERSION}", NEXT)
    # Layout of safetensors: 8 bytes little-endian header length, JSON header, tensor data.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    record = json.loads(header["__metadata__"]["record"])
    position = Position(**record["position"] | {"running": EpochState(**record["position"]["running"])})
    recipe = Recipe(**record["recipe"] | {"widths": tuple(record["recipe"]["widths"])})
    return Checkpoint(path, safetensors.torch.load(content), position, recipe, record)


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


def restore(checkpoint: Checkpoint, learner: Learner) -> None:
    """Put weights, optimizer, scaler and random state back; on the CPU the run then goes on bit for bit."""
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
