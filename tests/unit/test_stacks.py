"""stacks.toml is read whole, the locks agree with it, and versions stand nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from launcher.errors import LauncherError, UsageError
from launcher.stacks import default_stack, find_stack, images_directory, load_stacks, parse_stack

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENT = re.compile(r"^([\w.-]+)==([^\s\\;]+)", re.MULTILINE)
LOCKED = [stack for stack in load_stacks().values() if stack.locked]


def requirements(path: Path) -> dict[str, str]:
    return dict(REQUIREMENT.findall(path.read_text()))


def test_the_default_stack_is_complete() -> None:
    stack = default_stack()
    assert stack.name == "cu128"
    assert stack.locked
    assert all(re.fullmatch(r"\d+\.\d", capability) for capability in stack.compute_capabilities)


def test_an_unknown_stack_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        find_stack("cu118")
    assert "cu128" in caught.value.next_step


def test_a_row_with_a_missing_key_says_which() -> None:
    with pytest.raises(LauncherError, match="torch"):
        parse_stack("broken", {"summary": "", "debian": "bookworm"})


@pytest.mark.parametrize("stack", LOCKED, ids=lambda stack: stack.name)
def test_the_base_lock_holds_the_versions_of_its_row(stack: object) -> None:
    from launcher.stacks import Stack

    assert isinstance(stack, Stack)
    pins = requirements(stack.lock("base"))
    assert {name: pins[name].split("+")[0] for name in ("torch", "torchvision", "torchaudio", "triton")} == {
        "torch": stack.torch,
        "torchvision": stack.torchvision,
        "torchaudio": stack.torchaudio,
        "triton": stack.triton,
    }
    assert pins["nvidia-cudnn-cu12"] == stack.cudnn
    assert pins["nvidia-cuda-runtime-cu12"] == stack.cuda_runtime
    assert pins["nvidia-nccl-cu12"] == stack.nccl


@pytest.mark.parametrize(
    "path", sorted((images_directory() / "locks").glob("*/*.txt")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_every_locked_requirement_has_hashes_and_no_index_is_named(path: Path) -> None:
    text = path.read_text()
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)
    unhashed = [
        block.split("\n")[0]
        for block in blocks
        if "==" in block and not re.search(r"--hash=sha256:[0-9a-f]{64}", block)
    ]
    assert unhashed == []
    assert not re.search(r"https?://|--index|--find-links", text)


@pytest.mark.parametrize("stack", LOCKED, ids=lambda stack: stack.name)
def test_the_jupyter_lock_adds_to_the_base_and_repeats_nothing(stack: object) -> None:
    from launcher.stacks import Stack

    assert isinstance(stack, Stack)
    base, added = requirements(stack.lock("base")), requirements(stack.lock("jupyter"))
    assert "jupyterlab" in added
    assert not set(base) & set(added)


def test_what_is_asked_for_is_locked() -> None:
    stack = default_stack()
    for target in ("base", "jupyter"):
        wanted = (images_directory() / "locks" / target / f"{target}.in").read_text().splitlines()
        pins = requirements(stack.lock(target))
        assert [name for name in wanted if name and not name.startswith("#") and name not in pins] == []


def test_versions_of_the_stack_stand_only_in_stacks_toml_and_the_locks() -> None:
    stack = default_stack()
    literals = [
        re.escape(value) for value in (stack.torch, stack.torchvision, stack.cuda, stack.cudnn, stack.cuda_runtime)
    ]
    pattern = re.compile(rf"(?<![\d.])({'|'.join(literals)})(?![\d.])")
    files = [ROOT / "compose.yaml", ROOT / "images/Dockerfile"]
    files += [
        path
        for folder in ("launcher", "images/build", "images/base", "images/jupyter", "images/ssh")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    assert [str(path.relative_to(ROOT)) for path in files if pattern.search(path.read_text())] == []
