"""Rules of cuDNN, NCCL and shared memory."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import AllReduce, Facts, Memory, Network
from tests.unit.envcheck.machines import cpu_host, gpu_host, torch
from tests.unit.envcheck.rules.cases import Rule, crashed, shm, with_torch


def interface(value: str, facts: Facts | None = None) -> Facts:
    return replace(facts or gpu_host(), environment={"NCCL_SOCKET_IFNAME": value})


def locked(limit: int | None, infiniband: tuple[str, ...] = ("mlx5_0",)) -> Facts:
    return gpu_host(memory=Memory(lockable=limit), network=Network(("eth0",), infiniband))


def failed(error: str) -> Facts:
    return with_torch(all_reduces=(AllReduce("nccl", 2, error=error),))


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
    # ---- network
    ("not set", "nccl-interface", gpu_host(), "skip", None),
    ("no card", "nccl-interface", interface("eth9", cpu_host()), "skip", None),
    ("interfaces not known", "nccl-interface", interface("eth9", gpu_host(network=Network())), "skip", None),
    ("by its name", "nccl-interface", interface("eth0"), "ok", None),
    ("by its beginning", "nccl-interface", interface("ib,et"), "ok", None),
    ("all but one", "nccl-interface", interface("^lo"), "ok", None),
    ("one that is not there", "nccl-interface", interface("ib0"), "warn", "nccl-network-interface"),
    ("the whole name", "nccl-interface", interface("=eth"), "warn", "nccl-network-interface"),
    ("all left out", "nccl-interface", interface("^eth,lo"), "warn", "nccl-network-interface"),
    ("no InfiniBand", "locked-memory", locked(1, ()), "skip", None),
    ("no limit", "locked-memory", locked(-1), "ok", None),
    ("64 MiB", "locked-memory", locked(64 << 20), "ok", None),
    ("a byte less", "locked-memory", locked((64 << 20) - 1), "warn", None),
    ("not recorded", "locked-memory", locked(None), "skip", None),
    ("built without it", "cudnn", with_torch(cudnn=None), "skip", None),
    ("no torch", "cudnn", with_torch(found=False), "skip", None),
    ("no torch", "nccl-version", with_torch(found=False), "skip", None),
    ("built without it", "nccl-version", with_torch(nccl=None), "skip", None),
    ("no torch", "all-reduce", with_torch(found=False), "skip", None),
    ("crash", "all-reduce", crashed("gloo", "Bus error"), "fail", None),
    ("crash over NCCL", "all-reduce", crashed("nccl-all-reduce", "Watchdog: timed out"), "fail", "nccl-timeout"),
    ("crash elsewhere", "all-reduce", crashed("cudnn"), "ok", None),
    (
        "two ranks on one card",
        "all-reduce",
        failed("Duplicate GPU detected : 0"),
        "fail",
        "nccl-duplicate-gpu",
    ),
    ("other versions", "all-reduce", failed("Mismatched NCCL version detected"), "fail", "nccl-version-mismatch"),
    ("another error", "all-reduce", failed("unhandled system error"), "fail", None),
    ("another program has the memory", "all-reduce", failed("CUDA out of memory."), "warn", "gpu-out-of-memory"),
    ("another program has the card", "all-reduce", failed("busy or unavailable"), "warn", "cuda-device-busy"),
    ("one card is not PyTorch's", "all-reduce", failed("no kernel image is available"), "warn", "arch-unsupported"),
    ("no result", "all-reduce", with_torch(all_reduces=(AllReduce("nccl", 2),)), "fail", None),
]
