"""The GPU rule: CPU only when asked for, or when there is no NVIDIA card."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envcheck.probes.hardware import probe_hardware
from launcher.device import UNDECIDED, decide_device


def machine(root: Path, card: bool) -> Path:
    """A simulated machine: a PCI bus with or without an NVIDIA display controller."""
    device = root / "sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n" if card else "0x8086\n")
    (device / "device").write_text("0x2684\n")
    (device / "class").write_text("0x030000\n")
    return root


@pytest.mark.parametrize(
    ("kind", "card", "gpu"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("none", True, False),
        ("none", False, False),
        ("all", False, True),
        ("count", True, True),
    ],
)
def test_simulated_machines(tmp_path: Path, kind: str, card: bool, gpu: bool) -> None:
    decision = decide_device(kind, probe_hardware(machine(tmp_path, card)))
    assert decision.gpu is gpu
    assert decision.reason


@pytest.mark.parametrize(
    ("arguments", "first_line", "code"),
    [
        (["up", "--gpus=none"], "Device: CPU (asked for with --gpus none)", 0),
        (["up", "--skip-check"], "Device: GPU (NVIDIA card found", 0),
        (["up", "--mode", "jupyter"], "Device: GPU (NVIDIA card found", 3),
        (["train", "--", "--gpus", "none"], "Device: GPU (NVIDIA card found", 3),
        (["up", "--help"], "", 0),
        (["ls"], "", 0),
    ],
)
def test_the_rule_is_applied_before_anything_is_installed_simulated_card_without_driver(
    tmp_path: Path, arguments: list[str], first_line: str, code: int
) -> None:
    """-I -S: no site-packages at all, as on a machine where nothing was installed yet."""
    checkout = Path(__file__).resolve().parents[2]
    program = f"import sys; sys.path.insert(0, {str(checkout)!r}); from launcher.device import main; main()"
    environ = os.environ | {"ENVCHECK_ROOT": str(machine(tmp_path, card=True))}
    command = [sys.executable, "-I", "-S", "-c", program, *arguments]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert ran.stderr.startswith(first_line) and bool(ran.stderr) is bool(first_line)
    assert ("driver" in ran.stderr and "  next: " in ran.stderr) is (code == 3)


@pytest.mark.parametrize(
    ("text", "variables", "arguments", "first_line", "code"),
    [
        ('gpus = "none"', {}, ["up"], "Device: CPU (asked for with --gpus none)", 0),
        ('gpus = "none"', {}, ["up", "--gpus", "all"], "Device: GPU", 3),
        ("", {"LAUNCHER_GPUS": "none"}, ["train"], "Device: CPU (asked for with --gpus none)", 0),
        ("skip-check = true", {}, ["up"], "Device: GPU (NVIDIA card found", 0),
        ('gpus = "nnoe"', {}, ["up"], "launcher: ", 2),
        ("", {}, ["up", "--gpus", "nnoe"], "launcher: --gpus 'nnoe'", 2),
    ],
)
def test_the_rule_before_anything_is_installed_knows_the_settings_simulated_card(
    tmp_path: Path, text: str, variables: dict[str, str], arguments: list[str], first_line: str, code: int
) -> None:
    checkout = Path(__file__).resolve().parents[2]
    project = tmp_path / "project"
    project.mkdir()
    (project / "launcher.toml").write_text(text + "\n")
    program = f"import sys; sys.path.insert(0, {str(checkout)!r}); from launcher.device import main; main()"
    environ = os.environ | {"ENVCHECK_ROOT": str(machine(tmp_path / "root", card=True))} | variables
    command = [sys.executable, "-I", "-S", "-c", program, *arguments]
    ran = subprocess.run(command, env=environ, cwd=project, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert ran.stderr.startswith(first_line)


def test_where_toml_cannot_be_read_yet_nothing_is_said_and_the_launcher_decides(tmp_path: Path) -> None:
    """Simulated: a Python without tomllib, as 3.10 is."""
    checkout = Path(__file__).resolve().parents[2]
    (tmp_path / "launcher.toml").write_text('gpus = "none"\n')
    program = (
        f"import sys; sys.path.insert(0, {str(checkout)!r}); sys.modules['tomllib'] = None; "
        "from launcher.device import main; main()"
    )
    command = [sys.executable, "-I", "-S", "-c", program, "up"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (UNDECIDED, "", "")
