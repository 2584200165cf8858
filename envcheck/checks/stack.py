"""The image's stack: is it what Python imports, or was a part of it installed again in front of it."""

from __future__ import annotations

from collections.abc import Iterable

from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.facts import Facts, ShadowingPackage
from envcheck.finding import Finding

# Compiled for each other: https://github.com/pytorch/vision#installation
TOGETHER = ("torch", "torchvision", "torchaudio")
USER_SITE = "/.local/lib/"


def stack_shadowed(facts: Facts) -> Finding:
    """What it checks: that torch, its CUDA packages and NumPy are the image's, not others installed in front of them.
    Why it matters: pip itself keeps the image's stack; uv, --no-deps or another PIP_CONSTRAINT may not.
    How to fix: uninstall the copy; the image's own is there again at once.
    Reference: https://packaging.python.org/en/latest/guides/installing-using-pip-and-virtual-environments/
    """
    check = "stack-shadowed"
    if facts.container.image is None:
        return skip(check, "not in one of the launcher's images")
    numpy, stack = _split(facts.shadowing_packages)
    if not stack and not numpy and facts.torch is None:
        return skip(check, "PyTorch was not looked at")
    if not stack and not numpy:
        return ok(check, "PyTorch and its libraries are the image's")
    evidence = [f"{p.name} {p.version} in {p.site}, the image has {p.image_version}" for p in (*stack, *numpy)]
    names = ", ".join(f"{p.name} {p.version}" for p in (*stack, *numpy)[:3])
    summary = f"installed in front of the image's own: {names}"
    if _torn_apart(stack):
        return fail(check, "torchvision-mismatch", summary, evidence, _uninstall(stack))
    return warn(check, "library-shadowed" if stack else "numpy-abi", summary, evidence, _uninstall((*stack, *numpy)))


def _split(packages: Iterable[ShadowingPackage]) -> tuple[list[ShadowingPackage], list[ShadowingPackage]]:
    """NumPy of another major version, which compiled packages do not load with; everything of the stack."""
    numpy, stack = [], []
    for package in packages:
        if package.name != "numpy":
            stack.append(package)
        elif package.version.split(".")[0] != package.image_version.split(".")[0]:
            numpy.append(package)
    return numpy, stack


def _torn_apart(stack: list[ShadowingPackage]) -> bool:
    """True where one of the three is another version, and another one still the image's."""
    other = {package.name for package in stack if package.version != package.image_version}
    return bool(other.intersection(TOGETHER)) and not other.issuperset(TOGETHER[:2])


def _uninstall(packages: Iterable[ShadowingPackage]) -> tuple[str, ...]:
    own = [package.name for package in packages if USER_SITE not in package.site]
    users = [package.name for package in packages if USER_SITE in package.site]
    commands = [f"pip uninstall -y {' '.join(own)}"] if own else []
    # pip of a virtual environment leaves what lies outside it alone.
    commands += [f"/usr/bin/python3 -m pip uninstall -y --break-system-packages {' '.join(users)}"] if users else []
    return tuple(commands)
