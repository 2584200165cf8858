"""What every command does first: say which device will work and why, and set up threads, memory and determinism."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from cifar10.device import choose_device, device_name, open_device, probe_device
from cifar10.distributed import Ranks, ranks_from_environment
from cifar10.limits import keep_freed_memory, thread_count
from cifar10.report import Display


def start(asked: str, deterministic: bool = False) -> tuple[Ranks, Display, torch.device]:
    """This process's rank, its display and its device ("auto", "cpu" or "cuda" as `asked`).

    `deterministic`: two runs on one kind of machine are bit-equal, on a GPU at some cost. Raises DeviceError when the
    GPU that was asked for, or that is here, cannot be used.
    """
    # ENVCHECK_ROOT is how tests put another machine in front of the programs of this image.
    root = Path(os.environ.get("ENVCHECK_ROOT") or "/")
    if deterministic:
        # https://docs.pytorch.org/docs/stable/notes/randomness.html; before the first call of cuBLAS, which reads it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    ranks = ranks_from_environment(os.environ)
    display = Display(enabled=ranks.lead)
    choice = choose_device(asked, probe_device(root))
    device = open_device(choice, ranks)
    if deterministic:
        torch.backends.cudnn.benchmark = False
    torch.set_num_threads(thread_count(os.environ, ranks.local_size))
    keep_freed_memory()
    note = f", {device_name(device)}" if device.type == "cuda" else ""
    display.say(choice.line + note)
    return ranks, display, device
