"""Seven faults and some more, injected end to end into bin/envcheck as a user runs it.

Simulated: fake drivers that gcc compiles, a root made of files, and a stand-in for PyTorch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.envcheck.fake_torch import write_torch
from tests.unit.envcheck.test_fake_drivers import envcheck
from tests.unit.envcheck.test_probes import write

UNDEFINED = "Could not load symbol cudnnGetProperty. Error: libcudnn_graph.so.9: undefined symbol: cudnnGetProperty"


@dataclass
class Machine:
    """What a fault may change of a healthy host with one card."""

    root: Path
    drivers: Path
    driver: str = "570.124.06"
    nodes: tuple[str, ...] = ("nvidia0", "nvidiactl", "nvidia-uvm")
    torch: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    def envcheck(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, report and the text form."""
        device = "/sys/bus/pci/devices/0000:0a:00.0"
        for name, text in {"vendor": "0x10de", "class": "0x030000", "device": "0x2204"}.items():
            write(self.root, f"{device}/{name}", f"{text}\n")
        write(self.root, "/sys/module/nvidia/version", f"{self.driver}\n")
        write(self.root, "/dev/kmsg", "6,1,100,-;Linux version 6.1\n")
        for node in self.nodes:
            write(self.root, f"/dev/{node}")
        packages = write_torch(self.root / "packages", **self.torch)
        variables = {"FAKE_NVML_DRIVER": self.driver, "PYTHONPATH": str(packages), **self.environ}
        # The stand-in has no collectives.
        options = ("--skip", "nccl", *arguments)
        done = envcheck(self.root, self.drivers, "--json", *options, **variables)
        text = envcheck(self.root, self.drivers, *options, **variables)
        assert text.returncode == done.returncode
        return done.returncode, json.loads(done.stdout), text.stdout


def half_upgraded(machine: Machine) -> None:
    machine.environ.update(FAKE_NVML_INIT="18", FAKE_CUDA_INIT="803")


def compat_on_geforce(machine: Machine) -> None:
    compat = machine.root / "usr/local/cuda-12.8/compat"
    shutil.copytree(machine.drivers, compat)
    machine.drivers, machine.driver = compat, "535.104.05"
    machine.environ["FAKE_CUDA_INIT"] = "804"


def driver_470(machine: Machine) -> None:
    machine.driver = "470.82.01"
    machine.environ["FAKE_CUDA_VERSION"] = "11040"


def fabric(machine: Machine) -> None:
    machine.environ.update(FAKE_CUDA_INIT="802", FAKE_NVML_FABRIC="2")


def pascal(machine: Machine) -> None:
    machine.environ["FAKE_CUDA_CAPABILITY"] = "6.0"


def lost_in_a_container(machine: Machine) -> None:
    write(machine.root, "/.dockerenv")
    machine.environ.update(FAKE_NVML_INIT="999", FAKE_CUDA_INIT="100")


def shadowed_cudnn(machine: Machine) -> None:
    shutil.copytree(machine.drivers, machine.root / "opt")
    machine.drivers = machine.root / "opt"
    write(machine.drivers, "libcudnn_graph.so.9")
    machine.torch["abort"] = UNDEFINED


FAULTS: dict[str, tuple[Callable[[Machine], None], str]] = {
    "NVML 18 and cuInit 803": (half_upgraded, "driver-library-mismatch"),
    "cuda-compat on a GeForce": (compat_on_geforce, "cuda-forward-compat-unsupported"),
    "driver 470": (driver_470, "driver-too-old"),
    "fabric not joined": (fabric, "cuda-fabric-manager"),
    "P100 on a wheel from 7.0": (pascal, "arch-unsupported"),
    "NVML 999 in a container": (lost_in_a_container, "container-lost-gpu"),
    "cuDNN shadowed": (shadowed_cudnn, "cudnn-shadowed"),
}


def stub_behind_a_link(machine: Machine) -> None:
    stubs = machine.root / "usr/local/cuda-12.8/targets/lib/stubs"
    shutil.copytree(machine.drivers, stubs)
    machine.drivers = machine.root / "stubs"
    machine.drivers.symlink_to(stubs)
    machine.environ["FAKE_CUDA_INIT"] = "34"


def masked(machine: Machine) -> None:
    machine.environ.update(FAKE_CUDA_INIT="100", CUDA_VISIBLE_DEVICES="-1")


def refused_by_selinux(machine: Machine) -> None:
    write(machine.root, "/run/.containerenv")
    machine.environ.update(FAKE_NVML_INIT="4", FAKE_CUDA_INIT="304")


def lost(machine: Machine) -> None:
    machine.environ.update(FAKE_NVML_HANDLE="15", FAKE_CUDA_INIT="999")


MORE: dict[str, tuple[Callable[[Machine], None], str]] = {
    "a stub behind a link": (stub_behind_a_link, "cuda-stub-library"),
    "masked": (masked, "cuda-devices-masked"),
    "refused by SELinux in Podman": (refused_by_selinux, "cuda-unknown-init"),
    "lost": (lost, "gpu-fallen-off-bus"),
}
INJECTED = {**FAULTS, **MORE}


@pytest.mark.parametrize(("inject", "cause"), INJECTED.values(), ids=INJECTED.keys())
def test_an_injected_fault_is_the_first_cause_and_exit_1(
    inject: Callable[[Machine], None], cause: str, fake_driver: Path, tmp_path: Path
) -> None:
    machine = Machine(tmp_path / "root", fake_driver)
    inject(machine)
    code, report, text = machine.envcheck()
    assert (code, report["verdict"], report["root_cause"]) == (1, "fail", cause), text
    assert report["findings"][0]["cause"] == cause
    first, second = text.splitlines()[:2]
    assert first.startswith("envcheck: FAIL: ") and first.endswith(f"[{cause}]")
    assert second.strip().startswith("fix: ")


def test_the_same_machine_without_a_fault_has_none(fake_driver: Path, tmp_path: Path) -> None:
    code, report, text = Machine(tmp_path / "root", fake_driver).envcheck("--require-gpu")
    bad = [item for item in report["findings"] if item["status"] in ("fail", "crash")]
    # /dev/shm of an invented root does not exist, torch.compile's compiler is the machine's own.
    assert (code, bad) == (0, []), text


def test_a_pod_without_a_gpu_on_a_node_with_one_is_a_container_that_was_started_without(
    tmp_path: Path,
) -> None:
    """The node's bus and kernel module show in the pod: no driver is to be installed in there."""
    machine = Machine(tmp_path / "root", tmp_path)
    write(machine.root, "/run/secrets/kubernetes.io/serviceaccount/token")
    machine.nodes = ()
    code, report, _ = machine.envcheck()
    assert (code, report["root_cause"]) == (1, "container-no-gpu-runtime")
    assert report["findings"][0]["fix"][0].startswith("kubectl edit pod")


def test_the_compat_library_and_the_shadowing_directory_are_named_in_the_fix(fake_driver: Path, tmp_path: Path) -> None:
    for name, inject in (("compat", compat_on_geforce), ("cudnn", shadowed_cudnn), ("stub", stub_behind_a_link)):
        machine = Machine(tmp_path / name, fake_driver)
        inject(machine)
        _, report, _ = machine.envcheck()
        assert report["findings"][0]["fix"][0] == "unset LD_LIBRARY_PATH"
        assert any(str(machine.drivers.resolve()) in line for line in report["findings"][0]["evidence"])
