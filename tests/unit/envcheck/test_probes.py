"""Probes over an injected root: files only, no library and no engine is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envcheck.facts import Crash
from envcheck.probes.child import Child, Ended, start_bare
from envcheck.probes.container import probe_container
from envcheck.probes.driver import probe_driver
from envcheck.probes.environment import probe_distribution, probe_environment
from envcheck.probes.hardware import scan_hardware
from envcheck.probes.memory import probe_memory
from envcheck.probes.runtime import probe_runtime
from envcheck.probes.torch import torch_facts


def write(root: Path, path: str, text: str = "") -> Path:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def card(root: Path, driver: str | None = "nvidia", vendor: str = "0x10de", pci_class: str = "0x030200") -> None:
    device = "/sys/bus/pci/devices/0000:01:00.0"
    write(root, f"{device}/vendor", f"{vendor}\n")
    write(root, f"{device}/class", f"{pci_class}\n")
    write(root, f"{device}/device", "0x2330\n")
    if driver is not None:
        (root / "sys/bus/pci/drivers" / driver).mkdir(parents=True)
        (root / device.lstrip("/") / "driver").symlink_to(root / "sys/bus/pci/drivers" / driver)


@pytest.mark.parametrize(
    ("arrange", "present"),
    [
        (lambda root: None, False),
        (card, True),
        (lambda root: card(root, None), True),
        (lambda root: card(root, "nouveau", pci_class="0x030000"), True),
        (lambda root: card(root, "vfio-pci"), False),
        (lambda root: card(root, vendor="0x1002"), False),
        (lambda root: card(root, pci_class="0x040300"), False),
        (lambda root: write(root, "/proc/driver/nvidia/version"), True),
        (lambda root: write(root, "/dev/nvidiactl"), True),
        (lambda root: write(root, "/dev/dxg"), True),
    ],
    ids=["empty", "3D", "no driver", "VGA nouveau", "vfio", "AMD", "audio", "proc", "nvidiactl", "WSL"],
)
def test_the_gpu_rule(arrange: object, present: bool, tmp_path: Path) -> None:
    arrange(tmp_path)  # type: ignore[operator]
    seen = scan_hardware(tmp_path, None)
    assert seen.present is present
    assert bool(seen.evidence) is (present or bool(seen.cards))


def test_a_request_for_the_cpu_overrides_bus_and_proc_but_not_device_nodes(tmp_path: Path) -> None:
    card(tmp_path)
    write(tmp_path, "/proc/driver/nvidia/version")
    write(
        tmp_path, "/run/gpu-launcher/request.json", json.dumps({"device": "cpu", "gpus": [], "reason": "--gpus none"})
    )
    request = probe_container(tmp_path).request
    seen = scan_hardware(tmp_path, request)
    assert not seen.present
    assert any("--gpus none" in line for line in seen.evidence)
    write(tmp_path, "/dev/nvidiactl")
    assert scan_hardware(tmp_path, request).present


def test_a_container_is_known_by_its_files_and_its_image_record_is_read(tmp_path: Path) -> None:
    assert not probe_container(tmp_path).inside
    record = {
        "schema_version": 1,
        "stack": "cu128",
        "target": "ssh",
        "torch": "2.8.0+cu128",
        "torch_cuda": "12.8",
        "cudnn": 91002,
        "nccl": "2.27.3",
        "compute_capabilities": ["7.0", "12.0"],
        "unknown": {"kept": "out"},
    }
    write(tmp_path, "/etc/gpu-launcher/image.json", json.dumps(record))
    container = probe_container(tmp_path)
    assert container.inside and container.image is not None
    assert (container.image.cudnn, container.image.compute_capabilities) == (91002, ("7.0", "12.0"))


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"device": "tpu"}'])
def test_a_damaged_request_counts_as_none(text: str, tmp_path: Path) -> None:
    write(tmp_path, "/run/gpu-launcher/request.json", text)
    container = probe_container(tmp_path)
    assert container.request is None
    assert (container.error is not None) is (not text.startswith("{"))


def test_the_kernel_side_of_a_loaded_open_driver(tmp_path: Path) -> None:
    write(tmp_path, "/proc/sys/kernel/osrelease", "6.8.0-1-generic\n")
    write(tmp_path, "/sys/module/nvidia/version", "570.124.06\n")
    write(tmp_path, "/sys/module/nvidia_uvm/initstate")
    write(
        tmp_path, "/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06\n"
    )
    write(tmp_path, "/lib/modules/6.8.0-1-generic/updates/dkms/nvidia.ko.zst")
    for node in ("nvidia0", "nvidiactl", "null"):
        write(tmp_path, f"/dev/{node}")
    (tmp_path / "sys/firmware/efi/efivars").mkdir(parents=True)
    (tmp_path / "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c").write_bytes(b"\6\0\0\0\1")
    driver = probe_driver(tmp_path)
    assert (driver.kernel, driver.module_version, driver.open_module) == ("6.8.0-1-generic", "570.124.06", True)
    assert (driver.module_installed, driver.uvm_loaded, driver.secure_boot) == (True, True, True)
    assert driver.device_nodes == ("/dev/nvidia0", "/dev/nvidiactl")
    assert not driver.wsl and not driver.nouveau_loaded


def test_the_kernel_side_of_nothing(tmp_path: Path) -> None:
    driver = probe_driver(tmp_path)
    assert (driver.module_version, driver.open_module, driver.secure_boot) == (None, None, None)
    assert not driver.module_installed and driver.device_nodes == ()


CDI = """cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
- name: all
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
containerEdits:
  mounts:
  - hostPath: /usr/lib/libcuda.so.570.124.06
    containerPath: /usr/lib/libcuda.so.570.124.06
"""


def test_an_engine_with_toolkit_runtime_and_cdi(tmp_path: Path) -> None:
    write(tmp_path, "/usr/bin/docker")
    write(tmp_path, "/usr/bin/nvidia-ctk")
    write(tmp_path, "/etc/docker/daemon.json", '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}')
    write(tmp_path, "/etc/cdi/nvidia.yaml", CDI)
    write(tmp_path, "/etc/cdi/other.yaml", CDI.replace("nvidia.com", "example.com"))
    runtime = probe_runtime(tmp_path, {})
    assert (runtime.docker_client, runtime.toolkit) == ("/usr/bin/docker", "/usr/bin/nvidia-ctk")
    assert runtime.nvidia_runtime
    assert runtime.cdi_specs == ("/etc/cdi/nvidia.yaml",)
    assert runtime.cdi_devices == ("nvidia.com/gpu=0", "nvidia.com/gpu=all")
    assert runtime.cdi_missing_paths == ("/usr/lib/libcuda.so.570.124.06",)
    write(tmp_path, "/usr/lib/libcuda.so.570.124.06")
    assert probe_runtime(tmp_path, {}).cdi_missing_paths == ()
    assert runtime.hook is None
    write(tmp_path, "/usr/bin/nvidia-container-runtime-hook")
    assert probe_runtime(tmp_path, {}).hook == "/usr/bin/nvidia-container-runtime-hook"


def test_a_cdi_specification_in_json_is_read_too(tmp_path: Path) -> None:
    text = json.dumps({"kind": "nvidia.com/gpu", "devices": [{"name": "GPU-1"}, {"name": "all"}]}, indent=1)
    write(tmp_path, "/var/run/cdi/nvidia.json", text)
    assert probe_runtime(tmp_path, {}).cdi_devices == ("nvidia.com/gpu=GPU-1", "nvidia.com/gpu=all")


@pytest.mark.parametrize(
    ("text", "registered", "broken"), [("{}", False, False), ("{", False, True), ("[]", False, False)]
)
def test_the_engines_settings(text: str, registered: bool, broken: bool, tmp_path: Path) -> None:
    write(tmp_path, "/etc/docker/daemon.json", text)
    runtime = probe_runtime(tmp_path, {})
    assert (runtime.nvidia_runtime, runtime.error is not None) == (registered, broken)


def test_shared_memory_is_measured_or_says_why_not(tmp_path: Path) -> None:
    assert probe_memory(tmp_path).error is not None
    (tmp_path / "dev/shm").mkdir(parents=True)
    assert (probe_memory(tmp_path).shm_total or 0) > 0


def test_the_distribution_is_the_id_of_os_release(tmp_path: Path) -> None:
    assert probe_distribution(tmp_path) is None
    write(tmp_path, "/etc/os-release", 'PRETTY_NAME="Ubuntu"\nVERSION_ID="24.04"\nID="ubuntu"\n')
    assert probe_distribution(tmp_path) == "ubuntu"


def test_only_judged_variables_are_recorded() -> None:
    seen = probe_environment({"CUDA_VISIBLE_DEVICES": "", "AWS_SECRET_ACCESS_KEY": "x", "HOME": "/home/someone"})
    assert seen == {"CUDA_VISIBLE_DEVICES": ""}


def test_the_stages_of_a_crashed_torch_keep_what_was_reported_before() -> None:
    stages = {"import": {"version": "2.8.0+cu128", "cuda": "12.8"}, "nccl": {"version": "2.27.3"}}
    facts = torch_facts(Ended(stages, None), (Crash("cudnn", "SIGABRT"),))
    assert (facts.found, facts.version, facts.nccl, facts.cudnn) == (True, "2.8.0+cu128", "2.27.3", None)


def test_a_python_that_has_no_torch_after_all_is_not_found() -> None:
    missing = {"import": {"error": "ModuleNotFoundError: No module named 'torch'"}}
    broken = {"import": {"error": "ModuleNotFoundError: No module named 'numpy'"}}
    assert not torch_facts(Ended(missing, None)).found
    assert torch_facts(Ended(broken, None)).found


def test_a_child_that_cannot_start_is_a_crash_and_no_exception() -> None:
    ended = Child(["/nonexistent/python"]).finish(5)
    assert ended.crash is not None and ended.crash.stage == "start"


def test_a_child_that_raises_keeps_its_last_words() -> None:
    ended = start_bare("envcheck.probes.children.no_such_program").finish(20)
    assert ended.crash is not None
    assert "ModuleNotFoundError" in ended.crash.stderr
