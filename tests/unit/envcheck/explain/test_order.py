"""Several causes in one text: the root cause first, what it explains told as its consequence."""

from __future__ import annotations

import pytest

from envcheck.causes import causes
from envcheck.checks import BY_ID
from envcheck.explain import explain_text
from envcheck.explain.rank import ranks

XID = "kernel: NVRM: Xid (PCI:0000:3b:00): 79, pid=4242, GPU has fallen off the bus."
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"
MASKED = "RuntimeError: No CUDA GPUs are available"
TIMEOUT = (
    "[rank1]:[E ProcessGroupNCCL.cpp:632] [Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=3)"
)
SECURE_BOOT = "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service"
NOT_LOADED = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
LIBRARIES = (
    "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object"
)
ASSERT = "RuntimeError: CUDA error: device-side assert triggered"
BUS_ERROR = "RuntimeError: DataLoader worker (pid 99) is killed by signal: Bus error. It is possible that"
PORT = "Bind for 127.0.0.1:8888 failed: port is already allocated"
IMAGE = "Failed to load image Python extension: 'libjpeg.so.8: undefined symbol: jpeg_mem_src'"

ORDERS = [
    ([OUT_OF_MEMORY, XID], ["gpu-fallen-off-bus", "gpu-out-of-memory"]),
    ([MASKED, TIMEOUT, MISMATCH], ["driver-library-mismatch", "cuda-devices-masked", "nccl-timeout"]),
    ([NOT_LOADED, SECURE_BOOT, MASKED], ["driver-secure-boot", "driver-not-loaded", "cuda-devices-masked"]),
    ([LIBRARIES, NOT_LOADED], ["driver-not-loaded", "container-driver-libs-missing"]),
    ([TIMEOUT, ASSERT], ["user-code", "nccl-timeout"]),
    ([TIMEOUT, BUS_ERROR], ["shm-too-small", "nccl-timeout"]),
    ([TIMEOUT, OUT_OF_MEMORY], ["gpu-out-of-memory", "nccl-timeout"]),
]


@pytest.mark.parametrize(("lines", "expected"), ORDERS, ids=lambda value: value[0][:40])
def test_the_root_cause_comes_first_wherever_it_stands_in_the_text(lines: list[str], expected: list[str]) -> None:
    for text in ("\n".join(lines), "\n".join(reversed(lines))):
        matches = explain_text(text)
        assert [match.cause for match in matches] == expected
        assert [match.caused_by for match in matches] == [None, *[expected[0]] * (len(expected) - 1)]
        confidences = [match.confidence for match in matches]
        assert confidences == sorted(confidences, reverse=True) and confidences[1] < 0.6


def test_causes_that_have_nothing_to_do_with_each_other_are_both_told_in_full() -> None:
    matches = explain_text(f"{PORT}\n{OUT_OF_MEMORY}")
    assert [(match.cause, match.caused_by) for match in matches] == [
        ("docker-port-in-use", None),
        ("gpu-out-of-memory", None),
    ]


def test_a_guess_is_told_only_where_nothing_surer_is_found() -> None:
    assert [match.cause for match in explain_text(IMAGE)] == ["torchvision-mismatch"]
    assert [match.cause for match in explain_text(f"{IMAGE}\n{OUT_OF_MEMORY}")] == ["gpu-out-of-memory"]


def test_a_cause_is_told_once_by_its_surest_then_first_line() -> None:
    matches = explain_text(f"x\n{OUT_OF_MEMORY}\n{OUT_OF_MEMORY}")
    assert [(match.cause, match.line) for match in matches] == [("gpu-out-of-memory", 2)]


def test_every_cause_has_its_place_and_names_only_checks_that_are_there() -> None:
    assert sorted(ranks()) == sorted(causes())
    assert {rank.check for rank in ranks().values()} - {None} <= set(BY_ID)
