"""Where torchvision's compiled operators lie: loading them by path saves the second that its import takes."""

from __future__ import annotations

import re
from importlib.metadata import Distribution

LIBRARY = re.compile(r"torchvision/_C[^/]*\.(so|pyd)$")


def library_path(torchvision: Distribution) -> str:
    """By the package's metadata; the file itself may still be missing."""
    files = [str(path) for path in torchvision.files or () if LIBRARY.match(str(path))]
    return str(torchvision.locate_file(files[0] if files else "torchvision/_C.so"))
