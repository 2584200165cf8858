"""Rules of cuDNN, NCCL and shared memory."""

from __future__ import annotations

from envcheck.facts import AllReduce, Memory
from tests.unit.envcheck.machines import gpu_host, torch
from tests.unit.envcheck.rules.cases import Rule, crashed, shm, with_torch

RULES: list[Rule] = [
    ("loads", "cudnn", gpu_host(), "ok", None),
    ("aborts", "cudnn", crashed("cudnn", cudnn=None), "fail", "cudnn-shadowed"),
    ("raises", "cudnn", with_torch(cudnn=None, cudnn_error="RuntimeError: cuDNN version"), "fail", "cudnn-shadowed"),
    (
        "mixed",
        "cudnn",
        with_torch(cudnn_libraries=(*torch().cudnn_libraries, "/usr/lib/libcudnn_ops.so.9")),
        "warn",
        "cudnn-shadowed",
    ),
    ("a system build", "cudnn", with_torch(cudnn_libraries=("/usr/lib/libcudnn.so.9",)), "ok", None),
    ("CPU build", "cudnn", with_torch(cuda=None, cudnn=None), "skip", None),
    ("version", "nccl-version", gpu_host(), "ok", None),
    ("crash", "nccl-version", crashed("nccl"), "fail", "library-shadowed"),
    ("CPU build", "nccl-version", with_torch(cuda=None, nccl=None), "skip", None),
    ("right sums", "all-reduce", gpu_host(), "ok", None),
    ("wrong sum", "all-reduce", with_torch(all_reduces=(AllReduce("nccl", 2, 2.0, 3.0, 0.1),)), "fail", None),
    (
        "no interface",
        "all-reduce",
        with_torch(all_reduces=(AllReduce("nccl", 2, error="Bootstrap : no socket interface found"),)),
        "fail",
        "nccl-network-interface",
    ),
    (
        "shared memory full",
        "all-reduce",
        with_torch(
            all_reduces=(AllReduce("nccl", 2, error="Error while creating shared memory segment /dev/shm/nccl-x"),)
        ),
        "fail",
        "shm-too-small",
    ),
    (
        "timeout",
        "all-reduce",
        with_torch(all_reduces=(AllReduce("gloo", 2, error="Timed out waiting 20000ms"),)),
        "fail",
        "nccl-timeout",
    ),
    ("not run", "all-reduce", with_torch(all_reduces=()), "skip", None),
    ("1 GiB", "shared-memory", shm(1 << 30), "ok", None),
    ("a byte less", "shared-memory", shm((1 << 30) - 1), "warn", "shm-too-small"),
    ("Docker's 64 MiB", "shared-memory", shm(64 << 20), "warn", "shm-too-small"),
    ("unknown", "shared-memory", gpu_host(memory=Memory(error="no such directory")), "skip", None),
]
