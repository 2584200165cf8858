"""The kernel side of the driver: modules, device nodes, Secure Boot."""

from __future__ import annotations

import platform
from pathlib import Path

from envcheck.facts import Driver
from envcheck.probes.paths import below, entries, exists, read_text

# Where distributions and DKMS put nvidia.ko below /lib/modules/KERNEL; a full search of that tree takes 0.1 s.
MODULE_DIRECTORIES = (
    "updates/dkms",
    "updates",
    "extra",
    "extra/nvidia",
    "kernel/drivers/video",
    "kernel/nvidia",
    "kernel/drivers/video/nvidia",
    "misc",
    "video",
)
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def probe_driver(root: Path) -> Driver:
    """Files only; nothing is loaded or called."""
    kernel = read_text(root, "/proc/sys/kernel/osrelease") or platform.release()
    nodes = tuple(f"/dev/{name}" for name in entries(root, "/dev") if name.startswith("nvidia"))
    flavour = read_text(root, "/proc/driver/nvidia/version")
    return Driver(
        kernel=kernel,
        module_version=read_text(root, "/sys/module/nvidia/version"),
        open_module="Open Kernel Module" in flavour if flavour else None,
        module_installed=_installed(root, kernel),
        nouveau_loaded=exists(root, "/sys/module/nouveau"),
        uvm_loaded=exists(root, "/sys/module/nvidia_uvm"),
        secure_boot=_secure_boot(root),
        device_nodes=nodes,
        wsl=exists(root, "/dev/dxg") or "microsoft" in kernel.lower(),
    )


def _installed(root: Path, kernel: str) -> bool:
    # Ubuntu's signed modules: kernel/nvidia-570, kernel/nvidia-570-open
    branches = [name for name in entries(root, f"/lib/modules/{kernel}/kernel") if name.startswith("nvidia-")]
    places = (*MODULE_DIRECTORIES, *(f"kernel/{name}" for name in branches))
    names = [name for place in places for name in entries(root, f"/lib/modules/{kernel}/{place}")]
    return any(name.startswith(("nvidia.ko", "nvidia-current.ko")) for name in names)


def _secure_boot(root: Path) -> bool | None:
    # An EFI variable file is 4 attribute bytes, then the value: https://docs.kernel.org/filesystems/efivarfs.html
    try:
        content = below(root, SECURE_BOOT).read_bytes()
    except OSError:
        return None
    return len(content) > 4 and content[4] == 1
