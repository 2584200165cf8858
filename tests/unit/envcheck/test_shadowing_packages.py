"""What was installed in front of the image's stack: found by its files, and the command that takes it away."""

from __future__ import annotations

from pathlib import Path

import pytest

from envcheck.checks import BY_ID
from envcheck.facts import Facts, ShadowingPackage
from envcheck.probes.packages import probe_shadowing_packages
from tests.unit.envcheck.rules.stack import USER, VENV, shadowed
from tests.unit.envcheck.test_probes import write

ENVIRON = {"VIRTUAL_ENV": "/home/user/.venvs/py3.11-cu128", "HOME": "/home/user"}
SYSTEM = "/usr/local/lib/python3.11/dist-packages"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image's root with a torch and a NumPy, and a virtual environment with a package of the user's."""
    write(tmp_path, "etc/gpu-launcher/constraints.txt", "nvidia-cudnn-cu12==9.10.2.21\ntorch==2.8.0\n")
    for directory in (f"{SYSTEM}/torch-2.8.0", f"{SYSTEM}/numpy-2.3.4", f"{VENV}/iniconfig-2.1.0"):
        write(tmp_path, f"{directory[1:]}.dist-info/METADATA")
    return tmp_path


def test_packages_of_the_users_own_shadow_nothing(image: Path) -> None:
    assert probe_shadowing_packages(image, ENVIRON) == ()


def test_copies_are_found_in_the_order_in_which_python_looks(image: Path) -> None:
    for directory in (f"{VENV}/nvidia_cudnn_cu12-9.1.0.70", f"{USER}/torch-2.6.0", f"{VENV}/numpy-1.26.4"):
        write(image, f"{directory[1:]}.dist-info/METADATA")
    write(image, f"{USER[1:]}/numpy-1.0.dist-info/METADATA")
    assert set(probe_shadowing_packages(image, ENVIRON)) == {
        ShadowingPackage("nvidia-cudnn-cu12", "9.1.0.70", VENV, "9.10.2.21"),
        ShadowingPackage("numpy", "1.26.4", VENV, "2.3.4"),
        ShadowingPackage("torch", "2.6.0", USER, "2.8.0"),
    }


def test_elsewhere_nothing_is_the_images(image: Path) -> None:
    write(image, f"{VENV[1:]}/torch-2.6.0.dist-info/METADATA")
    (image / "etc/gpu-launcher/constraints.txt").unlink()
    assert probe_shadowing_packages(image, ENVIRON) == ()
    assert probe_shadowing_packages(image / "nowhere", {}) == ()


@pytest.mark.parametrize(
    ("facts", "commands"),
    [
        (shadowed("torch==2.6.0", "numpy==2.4.0"), ("pip uninstall -y torch",)),
        (shadowed("torch==2.6.0", "torchvision==0.21.0"), ("pip uninstall -y torch torchvision",)),
        (shadowed("numpy==1.26.4"), ("pip uninstall -y numpy",)),
        (
            shadowed("torch==2.6.0", site=USER),
            ("/usr/bin/python3 -m pip uninstall -y --break-system-packages torch",),
        ),
    ],
)
def test_the_fix_uninstalls_exactly_the_copies(facts: Facts, commands: tuple[str, ...]) -> None:
    finding = BY_ID["stack-shadowed"].judge(facts)
    assert finding.fix == commands
    assert any("the image has" in line for line in finding.evidence)
