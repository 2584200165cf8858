"""The images the tests use, built before the first test so that a build's progress is seen."""

from __future__ import annotations

import os
from dataclasses import dataclass

from launcher.progress import Progress
from launcher.setup.build import build_image
from launcher.stacks import default_stack


@dataclass(frozen=True, slots=True)
class Images:
    """References of the current images."""

    jupyter: str
    ssh: str


def build_images() -> Images:
    """Raises LauncherError when they cannot be built. Root consents to installing what the base image needs."""
    stack = default_stack()
    consent = os.geteuid() == 0
    references = [build_image(stack, target, Progress(), consent=consent).reference for target in ("jupyter", "ssh")]
    return Images(*references)
