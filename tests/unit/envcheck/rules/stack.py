"""Rules of the image's stack: what was installed in front of it."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import Facts, ShadowingPackage
from tests.unit.envcheck.machines import gpu_host, inside
from tests.unit.envcheck.rules.cases import Rule

VENV = "/home/user/.venvs/py3.11-cu128/lib/python3.11/site-packages"
USER = "/home/user/.local/lib/python3.11/site-packages"
IMAGE = {"torch": "2.8.0", "torchvision": "0.23.0", "nvidia-cudnn-cu12": "9.10.2.21", "numpy": "2.3.4"}


def shadowed(*packages: str, site: str = VENV) -> Facts:
    """The launcher's container, with packages written as name==version."""
    pairs = [package.split("==") for package in packages]
    found = tuple(ShadowingPackage(name, version, site, IMAGE[name]) for name, version in pairs)
    return replace(inside(gpu_host(), "gpu"), shadowing_packages=found)


RULES: list[Rule] = [
    ("nothing in front", "stack-shadowed", shadowed(), "ok", None),
    ("not our image", "stack-shadowed", gpu_host(), "skip", None),
    ("torch alone", "stack-shadowed", shadowed("torch==2.6.0"), "fail", "torchvision-mismatch"),
    ("torchvision alone", "stack-shadowed", shadowed("torchvision==0.21.0"), "fail", "torchvision-mismatch"),
    (
        "torchvision beside the same torch again",
        "stack-shadowed",
        shadowed("torch==2.8.0", "torchvision==0.21.0"),
        "fail",
        "torchvision-mismatch",
    ),
    ("both", "stack-shadowed", shadowed("torch==2.6.0", "torchvision==0.21.0"), "warn", "library-shadowed"),
    ("the same torch again", "stack-shadowed", shadowed("torch==2.8.0"), "warn", "library-shadowed"),
    ("another cuDNN", "stack-shadowed", shadowed("nvidia-cudnn-cu12==9.1.0.70"), "warn", "library-shadowed"),
    ("a newer NumPy", "stack-shadowed", shadowed("numpy==2.4.0"), "ok", None),
    ("an older major NumPy", "stack-shadowed", shadowed("numpy==1.26.4"), "warn", "numpy-abi"),
]
