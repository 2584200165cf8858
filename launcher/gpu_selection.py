"""Pure: which of the host's GPUs a request gets, and what has to be said of the choice."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.attach import Holders, HostGpu, refuse_taken, taken
from launcher.errors import UsageError
from launcher.spec import GpuRequest


def choose_gpus(request: GpuRequest, gpus: Sequence[HostGpu], held: Holders, share: bool = False) -> tuple[str, ...]:
    """The UUIDs a request gets, in the host's order.

    `auto` takes every free GPU that other programs leave alone, or every free one where they use them all; a count
    prefers those that nobody uses. Raises GpuTakenError naming the holders when there are too few, UsageError when a
    named GPU does not exist or is named twice.
    """
    if request.kind == "devices":
        return _named(request, gpus, held, share)
    free = [gpu for gpu in gpus if share or not taken((gpu.uuid,), held)]
    idle = [gpu for gpu in free if not gpu.busy]
    automatic = len(free if share else idle or free)
    wanted = {"auto": max(1, automatic), "all": len(gpus), "count": request.count}[request.kind]
    if wanted > len(gpus):
        raise UsageError(
            f"--gpus {request} asks for more than the {len(gpus)} GPU(s) of this machine", "Ask for fewer."
        )
    if wanted > len(free):
        refuse_taken([gpu.uuid for gpu in gpus], held)
    best = sorted(free, key=lambda gpu: (bool(taken((gpu.uuid,), held)), bool(gpu.busy)))[:wanted]
    return tuple(gpu.uuid for gpu in free if gpu in best)


def remarks(request: GpuRequest, gpus: Sequence[HostGpu], held: Holders, chosen: Sequence[str]) -> list[str]:
    """One line each on what other programs use, among the chosen and among those left out for it; on MIG."""
    lines = []
    used = [gpu for gpu in gpus if gpu.busy and gpu.uuid in chosen]
    passed = [gpu for gpu in gpus if gpu.busy and gpu.uuid not in chosen and not taken((gpu.uuid,), held)]
    if used:
        lines.append(f"Other programs use {_listed(used)} too: expect less memory and speed (see: launcher gpus)")
    if passed and request.kind in ("auto", "count"):
        lines.append(f"Left to the programs that use it: {_listed(passed)}; --gpus all or its number takes it too")
    if sum(gpu.instance is not None and gpu.uuid in chosen for gpu in gpus) > 1:
        lines.append("A process computes on one MIG instance alone: CUDA_VISIBLE_DEVICES=UUID inside chooses it")
    return lines


def _listed(gpus: Sequence[HostGpu]) -> str:
    return ", ".join(f"GPU {gpu.number} ({gpu.busy})" for gpu in gpus)


def numbered(names: Sequence[str], gpus: Sequence[HostGpu]) -> list[str]:
    """UUIDs of the GPUs that `names` name by number or UUID; the number of a card in MIG mode means its instances.

    Raises UsageError for one that does not exist, with what was probably meant.
    """
    known = {gpu.number: [gpu.uuid] for gpu in gpus} | {gpu.uuid.lower(): [gpu.uuid] for gpu in gpus}
    for gpu in gpus:
        if gpu.instance is not None:
            known.setdefault(str(gpu.index), []).append(gpu.uuid)
            known.setdefault(gpu.card.lower(), []).append(gpu.uuid)
    found = []
    for name in names:
        if name.lower() not in known:
            raise _absent(name, gpus)
        found += known[name.lower()]
    return found


def _absent(name: str, gpus: Sequence[HostGpu]) -> UsageError:
    from difflib import get_close_matches

    present = ", ".join(gpu.number for gpu in gpus)
    close = [] if name.isdecimal() else get_close_matches(name, [gpu.uuid for gpu in gpus], n=1)
    hint = f"Did you mean {close[0]}?" if close else "See them with: launcher gpus"
    return UsageError(f"there is no GPU {name} on this machine (present: {present})", hint)


def _named(request: GpuRequest, gpus: Sequence[HostGpu], held: Holders, share: bool) -> tuple[str, ...]:
    # What does not exist first: freeing the others would not help.
    chosen = numbered(request.devices, gpus)
    for uuid in chosen:
        if chosen.count(uuid) > 1:
            number = next(gpu.number for gpu in gpus if gpu.uuid == uuid)
            raise UsageError(f"--gpus {request} names GPU {number} ({uuid}) twice", "Name each GPU once.")
    if not share:
        refuse_taken(chosen, held)
    return tuple(chosen)
