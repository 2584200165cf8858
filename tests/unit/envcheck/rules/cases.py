"""Invented machines with one thing wrong, for the rules."""

from __future__ import annotations

from dataclasses import fields, replace

from envcheck.facts import Card, Crash, Cuda, Facts, Hardware, KernelLog, Memory, Nvml, NvmlDevice, Xid
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside, torch

# What the case is, the check's id, the machine, and the status and cause the check must give.
Rule = tuple[str, str, Facts, str, str | None]
LOST = Cuda(error="libcuda.so.1: cannot open shared object file")
NO_NVML = Nvml(error="libnvidia-ml.so.1: cannot open shared object file")


def unloaded(**driver: object) -> Facts:
    """A card on the bus and nothing that drives it."""
    card = Card("0000:01:00.0", "0x2684", "0x030000", None)
    bare = gpu_host(hardware=Hardware(True, (card,), ("a card",)), cuda=LOST, nvml=NO_NVML)
    return change(
        bare,
        "driver",
        module_version=None,
        open_module=None,
        device_nodes=(),
        uvm_loaded=False,
        **{"module_installed": False, **driver},
    )


def nouveau() -> Facts:
    card = Card("0000:01:00.0", "0x2684", "0x030000", "nouveau")
    return replace(unloaded(nouveau_loaded=True), hardware=Hardware(True, (card,), ("a card",)))


def given_away() -> Facts:
    card = Card("0000:01:00.0", "0x2684", "0x030000", "vfio-pci")
    return cpu_host(hardware=Hardware(False, (card,)))


def bare_container(device: str | None = "gpu", **environment: str) -> Facts:
    """The host's card shows on the bus, nothing of it was passed in."""
    facts = gpu_host(cuda=LOST, nvml=NO_NVML)
    return inside(change(facts, "driver", device_nodes=()), device, **environment)


def cuda(code: int, **changes: object) -> Facts:
    return change(gpu_host(), "cuda", init_code=code, count_code=None, device_count=None, devices=(), **changes)


def nvml(code: int, facts: Facts | None = None) -> Facts:
    return change(facts or cuda(100), "nvml", init_code=code, driver_version=None, devices=())


def with_torch(**changes: object) -> Facts:
    return gpu_host(torch=torch(**changes))


def crashed(stage: str, stderr: str = "", **changes: object) -> Facts:
    return with_torch(crashes=(Crash(stage, "SIGABRT", False, -6, stderr),), **changes)


def vision(**changes: object) -> Facts:
    healthy = torch().torchvision
    assert healthy is not None
    return with_torch(torchvision=replace(healthy, **changes))  # type: ignore[arg-type]


def shm(size: int) -> Facts:
    return gpu_host(memory=Memory(size, size))


def runtime(**changes: object) -> Facts:
    return change(gpu_host(), "runtime", **changes)


def health(**changes: object) -> Facts:
    """One card with some fields of facts.NvmlDevice or facts.GpuHealth changed."""
    return cards(changes)


def cards(*changes: dict[str, object]) -> Facts:
    """As many cards of one kind as there are changes."""
    facts = gpu_host()
    return change(facts, "nvml", devices=tuple(_card(facts, index, each) for index, each in enumerate(changes)))


def _card(facts: Facts, index: int, changes: dict[str, object]) -> NvmlDevice:
    own = {field.name for field in fields(NvmlDevice)}
    rest = {name: value for name, value in changes.items() if name not in own}
    device = facts.nvml.devices[0]
    condition = replace(device.health, pci=f"00000000:0{index + 1}:00.0")
    condition = replace(condition, **rest)  # type: ignore[arg-type]
    kept = {name: value for name, value in changes.items() if name in own}
    return replace(device, index=index, health=condition, **kept)  # type: ignore[arg-type]


def without_cuda(facts: Facts, code: int) -> Facts:
    """The same machine, where cuInit returns `code`."""
    return change(facts, "cuda", init_code=code, count_code=None, device_count=None, devices=())


def logged(*xids: Xid, facts: Facts | None = None) -> Facts:
    """A machine whose kernel's log holds these."""
    return replace(facts or gpu_host(), kernel_log=KernelLog("/dev/kmsg", xids=xids))


def xid(number: int, text: str = "", pci: str = "0000:01:00") -> Xid:
    """One entry, for the card of `gpu_host` unless told otherwise."""
    return Xid(number, pci, 1, text, 100.0)


def told(facts: Facts, *lines: str) -> Facts:
    """The same machine with these lines of the driver in the kernel's log."""
    return replace(facts, kernel_log=KernelLog("/dev/kmsg", driver_lines=lines))
