"""The layer of a project's own packages: its name, its recipe, its command, and what its failures say."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from launcher import labels
from launcher.engine import Image
from launcher.errors import UsageError
from launcher.images import choose_image, is_current_layer
from launcher.packages import Packages
from launcher.plan import ImageChoice
from launcher.progress import Progress
from launcher.setup.layer import layer_command, recipe, stage_layer
from launcher.setup.layer_failure import layer_cause, layer_error
from launcher.setup.mirrors import Mirrors
from launcher.stacks import default_stack, images_directory

BOTH = Packages(("htop",), ("einops",))


def test_no_list_leaves_the_image_as_it_is_and_a_list_names_a_layer_over_it() -> None:
    plain = choose_image("ssh")
    assert plain.base is None
    layered = choose_image("ssh", apt=["htop"], pip=["einops", "einops"])
    assert layered.base == plain.reference and layered.reference.startswith(f"{plain.reference}-")
    assert layered == choose_image("ssh", pip=["einops"], apt=["htop"])
    assert layered.reference != choose_image("ssh", apt=["htop"]).reference
    with pytest.raises(UsageError):
        choose_image("ssh", apt=["--yes"])


@pytest.mark.parametrize(
    ("packages", "steps"),
    [(BOTH, (True, True)), (Packages(apt=("a1",)), (True, False)), (Packages(pip=("b",)), (False, True))],
)
def test_only_the_steps_that_install_something_are_in_the_recipe(packages: Packages, steps: tuple[bool, bool]) -> None:
    text = recipe((images_directory() / "layer/Dockerfile").read_text(), packages)
    assert ("apt-install" in text.split("FROM")[1], "pip-install" in text) == steps
    assert "# ----" not in text
    # The image's own user is the last one, whatever was installed.
    assert [line for line in text.splitlines() if line.startswith("USER")] == ["USER 0:0", "USER 1000:1000"]


def test_the_context_holds_the_lists_and_the_scripts_and_nothing_else(tmp_path: Path) -> None:
    context = stage_layer(BOTH, tmp_path / "context")
    assert sorted(file.name for file in context.iterdir()) == [
        *("Dockerfile", "apt-install", "apt.txt", "pip-install", "pip.txt")
    ]
    assert (context / "apt.txt").read_text() == "htop\n" and (context / "pip.txt").read_text() == "einops\n"


def test_the_command_labels_the_base_and_holds_no_secret_value(tmp_path: Path) -> None:
    image = ImageChoice("layer:1", "source", "base:1", BOTH)
    mirrors = Mirrors(proxies=("https_proxy",))
    command = layer_command(default_stack(), image, "sha256:1", mirrors, {"pip_conf": Path("/s/pip")}, tmp_path)
    text = " ".join(command)
    for part in (
        "--tag layer:1",
        "--build-arg BASE=base:1",
        "--label gpu-launcher.base=sha256:1",
        "id=pip_conf,src=/s/pip",
    ):
        assert part in text
    assert "--build-arg https_proxy --" in text and command[-1] == str(tmp_path)


@pytest.mark.parametrize(
    ("source", "base", "current"),
    [
        ("s", Image("sha256:1"), True),
        ("s", None, True),
        ("s", Image("sha256:2"), False),
        ("t", Image("sha256:1"), False),
    ],
)
def test_a_layer_over_another_image_is_built_again(source: str, base: Image | None, current: bool) -> None:
    layer = Image("sha256:9", {labels.IMAGE_SOURCE: "s", labels.IMAGE_BASE: "sha256:1"})
    assert is_current_layer(layer, base, source) is current


CONFLICT = """#9 3.1 ERROR: Cannot install old-thing==1.0 because these package versions have conflicting dependencies.
#9 3.1 The conflict is caused by:
#9 3.1     old-thing 1.0 depends on torch==2.6
#9 3.1     The user requested (constraint) torch==2.8.0"""
ASKED = """#9 3.1     The user requested torch>2.8
#9 3.1     The user requested (constraint) torch==2.8.0"""


@pytest.mark.parametrize(
    ("text", "named", "code"),
    [
        ("#7 1.0 E: Unable to locate package nosuch", "Debian has no package nosuch", 1),
        ("#7 1.0 E: Version '9' for 'git' was not found", "no version 9 of git", 1),
        ("#7 1.0 E: Package 'mail-agent' has no installation candidate", "mail-agent", 1),
        ("#7 E: Packages need to be removed but remove is disabled.", "remove one of the image's own", 1),
        ("#8 2.0 ERROR: No matching distribution found for nosuch==1", "no nosuch==1 for this Python", 1),
        ("#8 2.0 jupyterlab 4.4 has requirement httpx<1,>=0.25, but you have httpx 0.1.", "jupyterlab 4.4 has", 1),
        (CONFLICT, "old-thing 1.0 depends on torch==2.6 does not fit the image's torch 2.8.0", 1),
        (ASKED, "torch>2.8 does not fit the image's torch 2.8.0", 1),
        (
            "#8 WARNING: Retrying after connection broken: Connection refused: /simple/x\n"
            "#8 ERROR: No matching distribution found for x",
            "does not answer",
            3,
        ),
        ("#8 write /x: no space left on device", "disk is full", 3),
    ],
)
def test_a_failure_names_the_package_or_what_the_machine_lacks(text: str, named: str, code: int) -> None:
    found = layer_cause(text.splitlines())
    assert found is not None
    assert named in found[0] and found[2] == code


def test_words_that_nobody_knows_are_shown() -> None:
    screen = io.StringIO()
    error = layer_error(["#8 something new"], Progress(screen))
    assert "something new" in screen.getvalue() and error.cause == "the project's packages could not be installed"
