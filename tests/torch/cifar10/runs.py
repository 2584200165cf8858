"""What a run left: its last checkpoint's tensors, and its loss curve."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import torch
from safetensors.torch import load_file


def tensors(out: str) -> dict[str, torch.Tensor]:
    index = json.loads(Path(out, "checkpoint.json").read_text())
    return load_file(Path(out, index["file"]))


def curve(out: str) -> list[dict[str, str]]:
    rows = csv.DictReader(Path(out, "metrics.csv").read_text().splitlines())
    return [{key: row[key] for key in row if "second" not in key} for row in rows]


def assert_same_run(one: str, other: str) -> None:
    """Every tensor (weights, optimizer, random state) and every loss is equal to the last bit."""
    a, b = tensors(one), tensors(other)
    assert a.keys() == b.keys()
    assert {"network.linear.bias", "optimizer.0.exp_avg_sq", "optimizer.5.step", "random.cpu"} <= a.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
    assert curve(one) == curve(other)
