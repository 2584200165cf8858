"""Do the wheel and the extensions beside it hold code for this card."""

from __future__ import annotations

import re

from envcheck.causes import cause
from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.compat import cuda_version_text, version_key
from envcheck.facts import Extension, Facts
from envcheck.finding import Finding
from envcheck.presence import capabilities

CHECK = "torch-architectures"
TORCH = "torch"
MASK = "CUDA_VISIBLE_DEVICES"
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
    without = [(name, capability) for name, capability in cards if not supports(flags, capability)]
    if without:
        name, capability = without[0]
        summary = f"this PyTorch has no code for {name} (compute capability {capability})"
        evidence = [f"{origin}: {' '.join(flags)}", *(f"{name}: {capability}" for name, capability in cards)]
        # An old card that draws the screen beside one that computes is a limit, no failure.
        judge = fail if len(without) == len(cards) else warn
        return judge(CHECK, "arch-unsupported", summary, evidence, _fix(facts, flags, capability))
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


def _fix(facts: Facts, flags: tuple[str, ...], capability: str) -> tuple[str, ...]:
    """Older than everything in the wheel, or newer: the commands are different ones."""
    own = [(int(found[2]), int(found[3])) for found in map(FLAG.fullmatch, flags) if found]
    older = version_key(capability) < min(own, default=(0, 0))
    if facts.container.image is not None and facts.container.image.stack and older:
        return ("bin/launcher build --stack cu126   # on the host: a stack with code for older cards",)
    steps = cause("arch-unsupported").fix
    steps = steps[:1] if older else steps[1:]
    usable = [str(index) for index, (_, has) in enumerate(capabilities(facts)) if supports(flags, has)]
    if usable and MASK not in facts.environment:
        return (f"export {MASK}={','.join(usable)}   # the cards that it has code for", *steps)
    return steps


def _flags(facts: Facts) -> tuple[tuple[str, ...], str]:
    torch = facts.torch
    if torch is not None and torch.architectures:
        return torch.architectures, "the wheel"
    image = facts.container.image
    if image is not None and image.compute_capabilities and (torch is None or torch.version is None):
        return (*image.compute_capabilities, *(f"compute_{item.replace('.', '')}" for item in image.ptx)), "the image"
    own = [item for item in torch.extensions if item.package == TORCH] if torch is not None else []
    return tuple(dict.fromkeys(flag for item in own for flag in _code(item))), "its libraries"


def _code(extension: Extension) -> tuple[str, ...]:
    return (*extension.machine_code, *extension.ptx)


def torch_extensions(facts: Facts) -> Finding:
    """What it checks: the CUDA code in torchvision and other packages beside PyTorch, read from their libraries.
    Why it matters: PyTorch may run on the card and the package still end in "no kernel image is available".
    How to fix: rebuild or reinstall the package for this card (TORCH_CUDA_ARCH_LIST).
    Reference: https://docs.pytorch.org/docs/stable/cpp_extension.html
    """
    check, cards, torch = "torch-extensions", capabilities(facts), facts.torch
    packages = _packages(torch.extensions if torch is not None else ())
    if not packages or torch is None:
        return skip(check, "no package beside PyTorch holds CUDA code")
    if not cards:
        return skip(check, "no card's compute capability is known")
    lines = [_holds(name, items) for name, items in packages.items()]
    if torch.extensions_left_out:
        lines.append(f"at least {torch.extensions_left_out} not read in time; ENVCHECK_SCAN_SECONDS=10 reads all")
    for name, items in packages.items():
        for card, capability in cards:
            found = _unfit(check, facts, name, items, card, capability, lines)
            if found is not None:
                return found
    return ok(check, f"{', '.join(packages)}: CUDA code for every card", lines)


def _packages(extensions: tuple[Extension, ...]) -> dict[str, list[Extension]]:
    packages: dict[str, list[Extension]] = {}
    for item in extensions:
        if item.package != TORCH:
            packages.setdefault(item.package, []).append(item)
    return packages


def _holds(name: str, items: list[Extension]) -> str:
    return f"{name}: {' '.join(dict.fromkeys(flag for item in items for flag in _code(item)))}"


def _unfit(
    check: str, facts: Facts, name: str, items: list[Extension], card: str, capability: str, lines: list[str]
) -> Finding | None:
    """A package may hold a library for each kind of card, so it is judged by the one that fits best."""
    if any(supports(item.machine_code, capability) for item in items):
        return None
    if not any(supports(item.ptx, capability) for item in items):
        summary = f"{name} has no code for {card} (compute capability {capability})"
        fix = (
            f"pip install --upgrade {name}   # by the name of its package; torchvision: together with torch",
            f"or build it for this card: TORCH_CUDA_ARCH_LIST={capability} pip install --no-binary :all: <its name>",
        )
        return warn(check, "arch-unsupported", summary, lines, fix)
    built, supported = facts.torch.cuda if facts.torch is not None else None, facts.cuda.driver_version
    if built is None or supported is None or version_key(cuda_version_text(supported)) >= version_key(built):
        return None
    summary = f"{name} has only PTX for {card}, which a driver for CUDA {cuda_version_text(supported)} may not compile"
    return warn(check, "ptx-unsupported-toolchain", summary, lines)
