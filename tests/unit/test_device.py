"""The GPU rule: CPU only when asked for, or when there is no NVIDIA card."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.device import decide_device
from envcheck.probes.hardware import probe_hardware


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
    [("auto", True, True), ("auto", False, False), ("none", True, False), ("none", False, False), ("all", False, True), ("count", True, True)],
)
def test_simulated_machines(tmp_path: Path, kind: str, card: bool, gpu: bool) -> None:
    decision = decide_device(kind, probe_hardware(machine(tmp_path, card)))
    assert decision.gpu is gpu
    assert decision.reason


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["up", "--mode", "jupyter"], "Device: GPU"),
        (["up", "--gpus=none"], "Device: CPU (asked for with --gpus none)"),
        (["train", "--", "--gpus", "none"], "Device: GPU"),
        (["ls"], ""),
    ],
)
def test_first_line_needs_nothing_installed_simulated_card(tmp_path: Path, arguments: list[str], line: str) -> None:
    """-I -S: no site-packages at all, as on a machine where nothing was installed yet."""
    checkout = Path(__file__).resolve().parents[2]
    program = f"import sys; sys.path.insert(0, {str(checkout)!r}); from launcher.device import main; main()"
    environ = os.environ | {"ENVCHECK_ROOT": str(machine(tmp_path, card=True))}
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", program, *arguments], env=environ, capture_output=True, text=True, check=True)
    assert ran.stderr.startswith(line) and ran.stdout == ""
    assert bool(ran.stderr) is bool(line)
