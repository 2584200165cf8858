# ruff: noqa: E402 - importorskip comes first: without torch these tests are skipped, not broken
"""Kills, full disks and damaged files: half a checkpoint is never used, and a whole one is always there."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
import safetensors.torch
from cifar10 import checkpoint as checkpoint_module
from cifar10 import files

from tests.torch.cifar10.runs import assert_same_run, curve, tensors
from tests.waiting import wait_until


def test_bit_flip_is_refused_with_both_hashes(train: Callable) -> None:
    train("run", 1)
    index = json.loads(Path("run/checkpoint.json").read_text())
    file = Path("run", index["file"])
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)
    actual = hashlib.sha256(content).hexdigest()
    train("run", 2, "--resume", "auto").assert_failed(1, file.name, actual, index["sha256"])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"file": "none.safetensors", "sha256": "00"}'])
def test_broken_index_is_refused(text: str, train: Callable) -> None:
    Path("run").mkdir()
    Path("run/checkpoint.json").write_text(text)
    train("run", 2, "--resume", "auto").assert_failed(1, "checkpoint.json", "another --out")


def test_a_checkpoint_of_an_earlier_version_goes_on(train: Callable) -> None:
    """Version 2 had the running epoch's state in an object of its own."""
    train("whole", 2)
    train("run", 1)
    index = json.loads(Path("run/checkpoint.json").read_text())
    content = Path("run", index["file"]).read_bytes()
    record = json.loads(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]["record"])
    names = ("step", "loss_sum", "seconds")
    record["position"]["running"] = {name: record["position"].pop(name) for name in names}
    content = safetensors.torch.save(tensors("run"), {"record": json.dumps(record)})
    Path("run", index["file"]).write_bytes(content)
    index |= {"schema_version": 2, "sha256": hashlib.sha256(content).hexdigest()}
    Path("run/checkpoint.json").write_text(json.dumps(index))
    assert train("run", 2, "--resume", "auto").code == 0
    assert_same_run("whole", "run")


def test_disk_full_keeps_the_previous_checkpoint(train: Callable) -> None:
    """The full disk is simulated by a file size limit: the kernel itself refuses the write."""
    train("whole", 2)
    train("run", 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        outcome = train("run", 2, "--resume", "auto")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    outcome.assert_failed(1, "cannot write the checkpoint", "previous one is kept", "--resume auto")
    assert not list(Path("run").glob(".*.tmp"))
    assert checkpoint_module.load(Path("run")).position.epoch == 1
    assert train("run", 2, "--resume", "auto").code == 0
    assert_same_run("whole", "run")


@pytest.mark.parametrize("survived", range(3))
def test_crash_at_any_write_keeps_a_whole_checkpoint(
    survived: int, train: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash is simulated after 0, 1 or 2 renames of the second epoch (metrics, tensors, index)."""
    train("run", 1)
    renames, original = [], files.Path.replace

    def crashing(self: Path, target: Path) -> Path:
        if len(renames) == survived:
            raise SystemExit(137)
        renames.append(target.name)
        return original(self, target)

    original_manifest = "cifar10.checkpoint.write_manifest"
    with monkeypatch.context() as patch:
        patch.setattr(original_manifest, lambda *_: None)
        patch.setattr(files.Path, "replace", crashing)
        with pytest.raises(SystemExit):
            train("run", 2, "--resume", "auto")
    assert checkpoint_module.load(Path("run")).position.epoch == 1
    assert train("run", 2, "--resume", "auto").code == 0
    assert len(list(Path("run").glob("checkpoint-*.safetensors"))) == 1
    assert len(curve("run")) == 2


def saved_epoch() -> int:
    index = Path("run/checkpoint.json")
    return json.loads(index.read_text())["epoch"] if index.exists() else 0


def test_fifty_kills_lose_no_more_than_the_running_epoch(train: Callable) -> None:
    """Processes that train without end are killed with SIGKILL at random moments; each goes on from the last one's."""
    train("first", 1)  # what the children would each have to load and to generate
    moments, epochs = random.Random(0), [0]
    for number in range(50):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            # The line that closes an epoch is written before its checkpoint.
            sys.stderr = os.fdopen(writer, "w")
            train("run", 1000, "--resume", "auto")
            os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as lines:
            for line in lines:
                if line.startswith("epoch"):
                    break
            # Every other one has saved the epoch that it told of, so that the run goes on however slow the disk is.
            if number % 2:
                wait_until(lambda: saved_epoch() > epochs[-1], "a checkpoint")
            time.sleep(moments.uniform(0, 0.2))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told = [int(line.split()[1].split("/")[0]) for line in (line, *lines) if line.startswith("epoch")]
        checkpoint = checkpoint_module.load(Path("run"))
        done = checkpoint.position.epoch if checkpoint else 0
        assert done >= max(told) - 1 and done >= epochs[-1]
        epochs.append(done)
    assert epochs[-1] >= 25
    assert len(list(Path("run").glob("checkpoint-*.safetensors"))) <= 2


def test_no_pickle_is_loaded(train: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    train("run", 1)
    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("a pickle was loaded"))
    assert train("run", 2, "--resume", "auto").code == 0
    assert not [path for path in Path("run").iterdir() if path.suffix in (".pt", ".pth", ".pkl")]
