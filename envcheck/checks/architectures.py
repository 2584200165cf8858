"""Does the wheel hold code for this card."""

from __future__ import annotations

import re

from envcheck.checks.answer import fail, ok, skip
from envcheck.facts import Facts
from envcheck.finding import Finding
from envcheck.presence import capabilities

CHECK = "torch-architectures"
FLAG = re.compile(r"(?:(sm|compute)_)?(\d+?)\.?(\d)([af]?)")


def torch_architectures(facts: Facts) -> Finding:
    """What it checks: every card's compute capability against the architectures the installed wheel itself names.
    Why it matters: without code for the card every operation ends in "no kernel image is available".
    How to fix: an older card needs a build for an older CUDA, a newer card a newer PyTorch.
    Reference: https://docs.nvidia.com/cuda/cuda-c-programming-guide/#binary-compatibility
    """
    flags, origin = _flags(facts)
    cards = capabilities(facts)
    if not cards:
        return skip(CHECK, "no card's compute capability is known")
    if not flags:
        return skip(CHECK, "no CUDA build of PyTorch whose architectures could be read")
    for name, capability in cards:
        if not supports(flags, capability):
            summary = f"this PyTorch has no code for {name} (compute capability {capability})"
            evidence = [f"{origin}: {' '.join(flags)}", f"the card: {capability}"]
            return fail(CHECK, "arch-unsupported", summary, evidence)
    listed = ", ".join(sorted({capability for _, capability in cards}))
    return ok(CHECK, f"PyTorch has code for compute capability {listed}", [f"{origin}: {' '.join(flags)}"])


def supports(flags: tuple[str, ...], capability: str) -> bool:
    """Machine code runs on the same major version with an equal or higher minor; PTX on anything newer.

    An architecture-specific one ("sm_90a") runs on exactly that; family-specific ("sm_100f") as plain code does.
    """
    major, minor = (int(part) for part in capability.split("."))
    for flag in flags:
        parsed = FLAG.fullmatch(flag)
        if parsed is None:
            continue
        kind, own, specific = parsed.group(1), (int(parsed.group(2)), int(parsed.group(3))), parsed.group(4)
        if specific == "a":
            fits = own == (major, minor)
        elif kind == "compute":
            fits = own <= (major, minor)
        else:
            fits = own[0] == major and own[1] <= minor
        if fits:
            return True
    return False


def _flags(facts: Facts) -> tuple[tuple[str, ...], str]:
    if facts.torch is not None and facts.torch.architectures:
        return facts.torch.architectures, "the wheel"
    image = facts.container.image
    if image is not None and image.compute_capabilities and (facts.torch is None or facts.torch.version is None):
        return image.compute_capabilities, "the image"
    return (), ""
