"""Which launcher, engine, stack and images are at work here: what a report of a fault begins with."""

from __future__ import annotations

import platform
from typing import Any

from launcher import __version__
from launcher.context import Context
from launcher.errors import LauncherError
from launcher.images import choose_image
from launcher.stacks import TARGETS, default_stack


def versions(context: Context) -> dict[str, Any]:
    """The object of `version --json`; an engine that does not answer is a fact here, not a failure."""
    stack = default_stack()
    names = ("name", "torch", "torchvision", "torchaudio", "cuda", "cudnn", "nccl", "python")
    engine, images = _engine(context), []
    for target in TARGETS:
        reference = choose_image(target).reference
        found = None if engine["error"] else context.engine.image(reference)
        images.append({"target": target, "reference": reference, "id": found.id if found else None})
    return {
        "launcher": __version__,
        "python": platform.python_version(),
        "engine": engine,
        "stack": {name: getattr(stack, name) for name in names},
        "images": images,
    }


def _engine(context: Context) -> dict[str, str | None]:
    try:
        found = {"url": context.endpoint.url, "version": context.engine.info().version, "error": None}
    except LauncherError as error:
        return {"url": None, "version": None, "error": error.cause}
    return found


def versions_text(found: dict[str, Any]) -> str:
    """A fact a line."""
    engine, stack = found["engine"], found["stack"]
    said = f"{engine['version']} at {engine['url']}" if engine["version"] else f"none: {engine['error']}"
    lines = [
        ("launcher", f"{found['launcher']} (Python {found['python']})"),
        ("engine", said),
        ("stack", f"{stack['name']}: torch {stack['torch']}, CUDA {stack['cuda']}, cuDNN {stack['cudnn']}"),
    ]
    here = {i["reference"]: i["id"][7:19] if i["id"] else "not here yet" for i in found["images"]}
    lines += [("image", f"{reference} ({identifier})") for reference, identifier in here.items()]
    return "".join(f"{key:<8}  {value}\n" for key, value in lines)
