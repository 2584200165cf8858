"""Rules of the cards' condition."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import Facts, KernelLog
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside
from tests.unit.envcheck.rules.cases import Rule, cards, health, logged, without_cuda, xid

NOT_READABLE = KernelLog(error="/dev/kmsg: Operation not permitted; dmesg: Operation not permitted")
WSL = change(gpu_host(), "driver", wsl=True)
NO_DEVICES = change(gpu_host(), "nvml", devices=())
RESET = "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"
RECOVERED = "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"


def mask(facts: Facts, value: str) -> Facts:
    return replace(facts, environment={"CUDA_VISIBLE_DEVICES": value})


MIG = health(mig=True, mig_uuids=("MIG-aaaa1111-0000-0000-0000-000000000000",))
LOG: list[Rule] = [
    ("nothing logged", "kernel-log", gpu_host(), "ok", None),
    ("no card", "kernel-log", cpu_host(kernel_log=NOT_READABLE), "skip", None),
    ("not readable", "kernel-log", gpu_host(kernel_log=NOT_READABLE), "skip", None),
    ("not shown in a container", "kernel-log", inside(gpu_host(kernel_log=NOT_READABLE), "gpu"), "skip", None),
    ("13 is the program's", "kernel-log", logged(xid(13)), "ok", None),
    ("31 is the program's", "kernel-log", logged(xid(31), xid(43), xid(45)), "ok", None),
    ("43 without CUDA is no cause", "kernel-log", logged(xid(43), facts=without_cuda(gpu_host(), 999)), "ok", None),
    ("an injected error", "kernel-log", logged(xid(14)), "ok", None),
    ("79, not listed", "kernel-log", logged(xid(79, pci="0000:65:00")), "fail", "gpu-fallen-off-bus"),
    (
        "79, NVML lists nothing any more",
        "kernel-log",
        logged(xid(79), facts=change(without_cuda(gpu_host(), 999), "nvml", devices=())),
        "fail",
        "gpu-fallen-off-bus",
    ),
    (
        "79, answers again, CUDA is broken otherwise",
        "kernel-log",
        logged(xid(79), facts=without_cuda(gpu_host(), 803)),
        "warn",
        "gpu-fallen-off-bus",
    ),
    (
        "79, NVML says lost",
        "kernel-log",
        logged(xid(79), facts=change(gpu_host(), "nvml", device_codes=(15,))),
        "fail",
        "gpu-fallen-off-bus",
    ),
    ("79, answers again", "kernel-log", logged(xid(79)), "warn", "gpu-fallen-off-bus"),
    (
        "79 of a card this container was not given",
        "kernel-log",
        logged(xid(79, pci="0000:65:00"), facts=inside(gpu_host(), "gpu")),
        "warn",
        "gpu-fallen-off-bus",
    ),
    ("48, counted", "kernel-log", logged(xid(48), facts=health(ecc_uncorrected=1)), "fail", "gpu-memory-ecc"),
    ("95, remap pending", "kernel-log", logged(xid(95), facts=health(remap_pending=True)), "fail", "gpu-memory-ecc"),
    ("64, remap failed", "kernel-log", logged(xid(64), facts=health(remap_failure=True)), "fail", "gpu-memory-ecc"),
    ("140, gone", "kernel-log", logged(xid(140, pci="0000:65:00")), "fail", "gpu-memory-ecc"),
    ("48, reset since", "kernel-log", logged(xid(48)), "warn", "gpu-memory-ecc"),
    ("92", "kernel-log", logged(xid(92)), "warn", "gpu-memory-ecc"),
    ("94", "kernel-log", logged(xid(94), facts=health(ecc_uncorrected=1)), "warn", "gpu-memory-ecc"),
    ("63, replaced", "kernel-log", logged(xid(63)), "ok", None),
    ("63, reset needed", "kernel-log", logged(xid(63), facts=health(remap_pending=True)), "warn", "gpu-memory-ecc"),
    ("63, failed", "kernel-log", logged(xid(63), facts=health(remap_failure=True)), "warn", "gpu-memory-ecc"),
    ("63, not told", "kernel-log", logged(xid(63), facts=health(remap_pending=None)), "warn", "gpu-memory-ecc"),
    ("74", "kernel-log", logged(xid(74)), "warn", "nccl-peer-to-peer"),
    ("119", "kernel-log", logged(xid(119)), "warn", None),
    ("120 on a broken machine", "kernel-log", logged(xid(120), facts=without_cuda(gpu_host(), 999)), "warn", None),
    ("154 asks for a reset", "kernel-log", logged(xid(154, RESET)), "warn", None),
    ("154 asks for nothing any more", "kernel-log", logged(xid(154, RECOVERED)), "ok", None),
    ("154 without a text", "kernel-log", logged(xid(154)), "ok", None),
    ("a number nobody knows", "kernel-log", logged(xid(9999)), "warn", None),
    ("the worst of several", "kernel-log", logged(xid(13), xid(9999), xid(79)), "warn", None),
    (
        "the worst of several, failed",
        "kernel-log",
        logged(xid(13), xid(9999), xid(79, pci="0000:65:00")),
        "fail",
        "gpu-fallen-off-bus",
    ),
]
MEMORY: list[Rule] = [
    ("well", "gpu-memory", gpu_host(), "ok", None),
    ("no device", "gpu-memory", NO_DEVICES, "skip", None),
    ("a GeForce tells nothing", "gpu-memory", health(ecc_uncorrected=None, remap_pending=None), "skip", None),
    ("ECC only", "gpu-memory", health(remap_pending=None), "ok", None),
    ("remap only", "gpu-memory", health(ecc_uncorrected=None), "ok", None),
    ("remap failed", "gpu-memory", health(remap_failure=True), "fail", "gpu-memory-ecc"),
    ("remap pending", "gpu-memory", health(remap_pending=True), "warn", "gpu-memory-ecc"),
    ("pages pending", "gpu-memory", health(retired_pages_pending=True), "warn", "gpu-memory-ecc"),
    ("no pages pending", "gpu-memory", health(retired_pages_pending=False), "ok", None),
    ("uncorrected errors", "gpu-memory", health(ecc_uncorrected=2), "warn", "gpu-memory-ecc"),
    ("errors of its youth", "gpu-memory", health(ecc_uncorrected_lifetime=7, remapped_uncorrected=1), "ok", None),
    ("the second card failed", "gpu-memory", cards({}, {"remap_failure": True}), "fail", "gpu-memory-ecc"),
    (
        "failure before reset before errors",
        "gpu-memory",
        cards({"ecc_uncorrected": 1}, {"remap_pending": True}, {"remap_failure": True}),
        "fail",
        "gpu-memory-ecc",
    ),
]
MODES: list[Rule] = [
    ("default", "gpu-compute-mode", gpu_host(), "ok", None),
    ("no device", "gpu-compute-mode", NO_DEVICES, "skip", None),
    ("not told", "gpu-compute-mode", health(compute_mode=None), "skip", None),
    ("prohibited", "gpu-compute-mode", health(compute_mode=2), "fail", "cuda-device-busy"),
    ("exclusive process is allowed", "gpu-compute-mode", health(compute_mode=3), "ok", None),
    ("exclusive thread is allowed", "gpu-compute-mode", health(compute_mode=1), "ok", None),
    ("a mode of the future", "gpu-compute-mode", health(compute_mode=9), "ok", None),
    ("the second card", "gpu-compute-mode", cards({}, {"compute_mode": 2}), "warn", "cuda-device-busy"),
    ("both cards", "gpu-compute-mode", cards(*[{"compute_mode": 2}] * 2), "fail", "cuda-device-busy"),
    ("NVML lists no instance, CUDA uses one", "gpu-mig", health(mig=True), "ok", None),
    ("no MIG", "gpu-mig", gpu_host(), "skip", None),
    ("MIG off", "gpu-mig", health(mig=False), "skip", None),
    ("no device", "gpu-mig", NO_DEVICES, "skip", None),
    ("instances", "gpu-mig", MIG, "ok", None),
    ("no instance", "gpu-mig", without_cuda(health(mig=True), 100), "fail", "cuda-devices-masked"),
    ("no instance, another card works", "gpu-mig", cards({"mig": True}, {}), "warn", "cuda-devices-masked"),
    ("named by its UUID", "gpu-mig", mask(MIG, "MIG-aaaa1111-0000-0000-0000-000000000000"), "ok", None),
    ("named by its beginning", "gpu-mig", mask(MIG, "MIG-aaaa"), "ok", None),
    (
        "one of two instances named",
        "gpu-mig",
        mask(health(mig=True, mig_uuids=("MIG-a1", "MIG-b2")), "MIG-b2,"),
        "ok",
        None,
    ),
    ("a wrong UUID", "gpu-mig", mask(without_cuda(MIG, 100), "MIG-bbbb"), "fail", "cuda-devices-masked"),
    ("one of two wrong", "gpu-mig", mask(MIG, "MIG-aaaa, MIG-bbbb"), "warn", "cuda-devices-masked"),
    ("the name older drivers gave", "gpu-mig", mask(without_cuda(MIG, 100), "MIG-GPU-1/1/0"), "ok", None),
    ("an index that CUDA takes", "gpu-mig", mask(MIG, "0"), "ok", None),
    ("an index that CUDA refuses", "gpu-mig", mask(without_cuda(MIG, 100), "0"), "fail", "cuda-devices-masked"),
    (
        "an index beside an undivided card",
        "gpu-mig",
        mask(without_cuda(cards({"mig": True, "mig_uuids": ("MIG-a",)}, {}), 100), "1"),
        "ok",
        None,
    ),
    ("on", "gpu-persistence", gpu_host(), "ok", None),
    ("off", "gpu-persistence", health(persistence=False), "ok", None),
    ("WSL", "gpu-persistence", WSL, "skip", None),
    ("not told", "gpu-persistence", health(persistence=None), "skip", None),
    ("no device", "gpu-persistence", NO_DEVICES, "skip", None),
]
RULES = [*LOG, *MEMORY, *MODES]
