"""The sampler's own ctypes calls, against a fake libnvidia-ml that gcc compiles (simulated driver)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from envcheck.gputests.programs.sampler import Sampler
from tests.waiting import wait_until

SOURCE = Path(__file__).parents[3] / "fakedrivers/libnvml_load.c"


def library(tmp_path: Path, *options: str) -> str:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the fake driver library cannot be built")
    built = tmp_path / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", *options, "-o", str(built), str(SOURCE)], check=True)
    return str(built)


def sampled(sampler: Sampler) -> dict[str, Any]:
    with sampler:
        wait_until(lambda: sampler.seen()["samples"] >= 3 or "sampler_error" in sampler.seen(), "three samples", 0.005)
    return sampler.seen()


@pytest.mark.parametrize("options", [(), ("-DOLD",)], ids=["driver 535 and later", "before"])
@pytest.mark.parametrize("uuid", ["GPU-1", "MIG-1"])
def test_reasons_are_counted_and_the_highest_figures_kept(tmp_path: Path, uuid: str, options: tuple[str, ...]) -> None:
    seen = sampled(Sampler(uuid, library(tmp_path, *options), interval=0.001))
    count = seen["samples"]
    assert count >= 3
    idle = {"hw_slowdown": 0, "hw_thermal": 0, "hw_power_brake": 0}
    assert seen["reasons"] == {"sw_power_cap": count, "sw_thermal": count, **idle}
    link = [seen[f"pcie_{name}"] for name in ("generation", "generation_max", "width", "width_max")]
    assert (link, seen["temperature"], seen["milliwatts"], seen["megahertz"]) == ([4, 5, 8, 16], 70, 300000, 1500)
    assert not {"reasons_code", "pcie_code", "sampler_error"} & set(seen)


def test_the_slots_width_is_read_from_the_port_above_the_card(tmp_path: Path) -> None:
    port = tmp_path / "devices/0000:00:01.0"
    (port / "0000:65:00.0").mkdir(parents=True)
    (port / "max_link_width").write_text("8\n")
    (tmp_path / "bus").mkdir()
    (tmp_path / "bus/0000:65:00.0").symlink_to(port / "0000:65:00.0")
    built = library(tmp_path)
    assert Sampler("GPU-1", built, pci=str(tmp_path / "bus")).seen()["pcie_slot"] == 8
    assert Sampler("MIG-1", built, pci=str(tmp_path / "bus")).seen()["pcie_slot"] == 8
    assert "pcie_slot" not in Sampler("GPU-1", built, pci=str(tmp_path)).seen()
    (port / "max_link_width").write_text("255")
    assert "pcie_slot" not in Sampler("GPU-1", built, pci=str(tmp_path / "bus")).seen()


def test_what_the_card_does_not_support_is_kept_by_its_code(tmp_path: Path) -> None:
    seen = sampled(Sampler("GPU-1", library(tmp_path, "-DUNSUPPORTED"), interval=0.001))
    assert (seen["reasons_code"], seen["pcie_code"], seen["temperature"]) == (3, 3, 70)
    assert "pcie_width" not in seen and not any(seen["reasons"].values())


def test_a_gpu_that_nvml_does_not_know_and_a_missing_library_are_reasons(tmp_path: Path) -> None:
    assert "code 6" in sampled(Sampler("GPU-9", library(tmp_path), interval=0.001))["sampler_error"]
    missing = sampled(Sampler("GPU-1", str(tmp_path / "missing.so"), interval=0.001))
    assert missing["sampler_error"].startswith("NVML does not load")
    assert missing["samples"] == 0
