"""Packages of the image's stack that were installed again where Python looks first. Files only, in our images only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from envcheck.facts_packages import ShadowingPackage
from envcheck.probes.paths import below, entries, read_text

CONSTRAINTS = "/etc/gpu-launcher/constraints.txt"
IMAGE_SITES = "/usr/local/lib/python3*/dist-packages"
# The image pins the stack and leaves NumPy free, but the stack was built for one major version of it.
ALSO = "numpy"
INSTALLED = re.compile(r"(.+)-([^-]+)\.dist-info")


def probe_shadowing_packages(root: Path, environ: Mapping[str, str]) -> tuple[ShadowingPackage, ...]:
    """In the order in which Python looks: the virtual environment's packages, then the user's."""
    own = dict(line.split("==", 1) for line in (read_text(root, CONSTRAINTS) or "").split() if "==" in line)
    if not own:
        return ()
    own |= {name: version for name, version in _installed(root, IMAGE_SITES) if name == ALSO}
    found: dict[str, ShadowingPackage] = {}
    for site in _sites(environ):
        for name, version in _installed(root, site):
            if name in own and name not in found:
                found[name] = ShadowingPackage(name, version, _directory(root, site), own[name])
    return tuple(found.values())


def _sites(environ: Mapping[str, str]) -> Iterator[str]:
    prefixes = (environ.get("VIRTUAL_ENV"), f"{environ['HOME']}/.local" if environ.get("HOME") else None)
    yield from (f"{prefix}/lib/python3*/site-packages" for prefix in prefixes if prefix)


def _installed(root: Path, site: str) -> Iterator[tuple[str, str]]:
    for name in entries(root, _directory(root, site)):
        if match := INSTALLED.fullmatch(name):
            yield re.sub(r"[-_.]+", "-", match[1]).lower(), match[2]


def _directory(root: Path, pattern: str) -> str:
    first = next(iter(sorted(root.glob(pattern.lstrip("/")))), below(root, pattern))
    return "/" + str(first.relative_to(root))
