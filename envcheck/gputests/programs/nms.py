# ruff: noqa: ANN401  (libraries loaded at run time have no types)
"""torchvision's non-maximum suppression on the GPU, against a plain one in Python. The result must be equal.

Corners are whole numbers, so that every area and every comparison with one half is exact in fp32.
"""

from __future__ import annotations

import importlib.metadata
import random
from typing import Any

from envcheck.gputests.programs.harness import NotApplicable
from envcheck.probes.children.torchvision_library import library_path

BOXES = 400
EXTENT = 400
SIDE = 60
Box = tuple[int, int, int, int]


def nms(torch: Any, cuda: Any, index: int) -> dict[str, Any]:
    """How many boxes were kept, and whether they are the right ones. Raises NotApplicable without torchvision."""
    path, version = _extension()
    # As torchvision itself does, but without the second that importing the whole package takes.
    torch.ops.load_library(path)
    boxes, scores = _boxes(random.Random(0))  # noqa: S311  (test data)
    device = cuda.device(index)
    given = torch.tensor(boxes, dtype=torch.float32, device=device), torch.tensor(scores, device=device)
    kept = torch.ops.torchvision.nms(*given, 0.5).cpu().tolist()
    expected = suppressed(boxes, scores)
    return {"version": version, "boxes": BOXES, "kept": len(kept), "expected": len(expected), "equal": kept == expected}


def suppressed(boxes: list[Box], scores: list[float]) -> list[int]:
    """Indexes of the boxes that stay, best first: of two that overlap by more than one half the better one."""
    kept: list[int] = []
    for candidate in sorted(range(len(boxes)), key=lambda position: -scores[position]):
        if not any(_overlap(boxes[candidate], boxes[other]) for other in kept):
            kept.append(candidate)
    return kept


def _overlap(one: Box, other: Box) -> bool:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0, width) * max(0, height)
    return 2 * common > _area(one) + _area(other) - common


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _boxes(source: random.Random) -> tuple[list[Box], list[float]]:
    boxes = []
    for _ in range(BOXES):
        left, top = source.randrange(EXTENT), source.randrange(EXTENT)
        boxes.append((left, top, left + source.randrange(1, SIDE), top + source.randrange(1, SIDE)))
    scores = [number / BOXES for number in range(BOXES)]
    source.shuffle(scores)
    return boxes, scores


def _extension() -> tuple[str, str]:
    """torchvision's compiled operators, by its metadata; the file may still be missing."""
    try:
        found = importlib.metadata.distribution("torchvision")
    except importlib.metadata.PackageNotFoundError:
        raise NotApplicable("torchvision is not installed") from None
    return library_path(found), found.version
