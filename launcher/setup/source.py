"""What an image is built from: the build context, and a digest over it that tells a stale image from a new one."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import envcheck
from launcher.stacks import Stack, images_directory

SKIPPED = {"__pycache__"}
BASE_PARTS = ("Dockerfile", "build", "base", "cifar10")


def source_digest(stack: Stack, target: str) -> str:
    """Hex SHA-256 over name, mode and content of every file that goes into `target` of `stack`."""
    digest = hashlib.sha256(f"{stack!r}\0{target}\0".encode())
    for name, path in sorted(source_files(stack, target).items()):
        executable = "x" if path.stat().st_mode & 0o100 else "-"
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name}\0{executable}\0{content}\0".encode())
    return digest.hexdigest()


def source_files(stack: Stack, target: str) -> dict[str, Path]:
    """Build-context path -> file, for one target."""
    images = images_directory()
    parts = [images / part for part in (*BASE_PARTS, target)]
    parts += [images / "locks" / "tools" / "tools.txt", stack.lock("base")]
    if target == "jupyter":
        parts.append(stack.lock("jupyter"))
    files = {f"images/{path.relative_to(images)}": path for part in parts for path in _walk(part)}
    package = Path(envcheck.__file__).resolve().parent
    files |= {f"envcheck/{path.relative_to(package)}": path for path in _walk(package)}
    return files


def stage_context(stack: Stack, directory: Path) -> Path:
    """Copy what both targets need into `directory`, in the layout of a clone, and return it.

    A wheel keeps `images` and `envcheck` elsewhere than a clone does, and a clone holds more than an image may see.
    """
    files = source_files(stack, "jupyter") | source_files(stack, "ssh")
    files["images/stacks.toml"] = images_directory() / "stacks.toml"
    for name, path in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        # Modes go into layers: they must not depend on the umask or on how the package was unpacked.
        target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    return directory


def _walk(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        for child in sorted(path.iterdir()):
            if child.name not in SKIPPED and not child.name.endswith("_cache"):
                yield from _walk(child)
