"""The digest changes with every file of a target and with nothing else; the context holds only those files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from launcher.setup import source
from launcher.setup.source import source_digest, source_files, stage_context
from launcher.stacks import default_stack, images_directory


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of images/ that the digest is taken of."""
    images = tmp_path / "images"
    shutil.copytree(images_directory(), images, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source, "images_directory", lambda: images)
    monkeypatch.setattr("launcher.stacks.images_directory", lambda: images)
    return images


def digests() -> tuple[str, str]:
    return source_digest(default_stack(), "jupyter"), source_digest(default_stack(), "ssh")


@pytest.mark.parametrize(
    ("changed", "jupyter", "ssh"),
    [
        ("Dockerfile", True, True),
        ("build/lay-out", True, True),
        ("base/bin/start", True, True),
        ("cifar10/__init__.py", True, True),
        ("locks/base/cu128.txt", True, True),
        ("jupyter/bin/serve-jupyter", True, False),
        ("locks/jupyter/cu128.txt", True, False),
        ("ssh/etc/gpu-launcher/sshd_config", False, True),
        ("locks/generate.py", False, False),
    ],
)
def test_an_edit_makes_exactly_the_targets_stale_that_contain_it(
    copy: Path, changed: str, jupyter: bool, ssh: bool
) -> None:
    before = digests()
    with (copy / changed).open("a") as file:
        file.write("\n")
    after = digests()
    assert (before[0] != after[0], before[1] != after[1]) == (jupyter, ssh)


def test_bytecode_and_modes_of_the_umask_do_not_count(copy: Path) -> None:
    before = digests()
    cache = copy / "cifar10/__pycache__"
    cache.mkdir()
    (cache / "x.pyc").write_bytes(b"x")
    (copy / "Dockerfile").chmod(0o600)
    assert digests() == before


def test_losing_the_executable_bit_counts(copy: Path) -> None:
    before = digests()
    (copy / "base/bin/start").chmod(0o644)
    assert digests() != before


def test_the_context_has_a_clones_layout_and_fixed_modes(tmp_path: Path) -> None:
    stage_context(default_stack(), tmp_path)
    files = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*") if path.is_file()}
    assert {"images/Dockerfile", "images/stacks.toml", "envcheck/__init__.py", "images/base/bin/start"} <= set(files)
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o644, 0o755}
    assert files["images/base/bin/start"].stat().st_mode & 0o777 == 0o755
    assert not [name for name in files if "__pycache__" in name or "/." in name]


def test_every_file_a_dockerfile_step_names_is_in_the_context() -> None:
    stack = default_stack()
    names = set(source_files(stack, "jupyter")) | set(source_files(stack, "ssh")) | {"images/stacks.toml"}
    words = (images_directory() / "Dockerfile").read_text().replace(",", " ").split()
    used = {
        word.removeprefix("source=").rstrip("/")
        for word in words
        if word.removeprefix("source=").startswith(("images/", "envcheck/"))
    }
    missing = [path for path in used if not any(name == path or name.startswith(f"{path}/") for name in names)]
    assert missing == []
