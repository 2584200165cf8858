"""Facts about Python packages that stand before the image's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShadowingPackage:
    """A package in `site` that Python imports instead of the image's `image_version` of it."""

    name: str
    version: str
    site: str
    image_version: str
