"""The card, its kernel module and the driver's libraries."""

from __future__ import annotations

from envcheck.causes import cause
from envcheck.checks.answer import fail, ok, skip
from envcheck.checks.readings import library_package, start_with_gpu
from envcheck.facts import Card, Facts
from envcheck.finding import Finding
from envcheck.presence import presence, reached_container

# https://docs.nvidia.com/cuda/wsl-user-guide/
WSL_LIBRARIES = "/usr/lib/wsl/"
# How the kernel's lines about modules that are not signed begin.
REFUSED = ("Loading of", "Lockdown: ")
# Numbers that cuInit returns only after it has reached a kernel module.
ANSWERED = (0, 46, 214, 802, 803, 804)


def nvidia_hardware(facts: Facts) -> Finding:
    """What it checks: whether a usable NVIDIA card is there: on the PCI bus, by device node, or by driver library.
    Why it matters: with a card, not being able to use it is an error; without one, the CPU is what there is.
    How to fix: a card that should be there: check seating and power, and `lspci -d 10de:`.
    Reference: https://pci-ids.ucw.cz/read/PC/10de
    """
    check = "nvidia-hardware"
    if facts.hardware.present:
        count = len([card for card in facts.hardware.cards if card.driver != "vfio-pci"])
        seen = f"{count} NVIDIA card{'s' if count != 1 else ''} on the PCI bus" if count else "a GPU driver is visible"
        return ok(check, seen, facts.hardware.evidence)
    expected = presence(facts)
    return skip(check, "no NVIDIA card is visible in this container" if expected.expected else expected.reason)


def driver_module(facts: Facts) -> Finding:
    """What it checks: that NVIDIA's kernel module is loaded and drives the card.
    Why it matters: every other layer talks to the card through it.
    How to fix: install the driver, or rebuild its module for the running kernel, and load it.
    Reference: https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/
    """
    check = "driver-module"
    cards = [card for card in facts.hardware.cards if card.driver != "vfio-pci"]
    if not presence(facts).expected:
        return skip(check, "no GPU is expected here")
    if facts.driver.wsl:
        return skip(check, "under WSL the kernel driver is the one of Windows")
    if facts.driver.module_version:
        flavour = {True: ", open kernel module", False: ", closed kernel module", None: ""}[facts.driver.open_module]
        return ok(check, f"driver {facts.driver.module_version}{flavour}", [f"kernel {facts.driver.kernel}"])
    if facts.nvml.init_code == 0:
        return ok(check, f"driver {facts.nvml.driver_version} (from NVML)")
    if facts.cuda.init_code in ANSWERED:
        return skip(check, f"its version is not visible, but it answers: cuInit returned {facts.cuda.init_code}")
    if not cards:
        return skip(check, "no card is visible on the PCI bus; the driver libraries are judged by themselves")
    if any(card.driver == "nouveau" for card in cards):
        summary = "nouveau holds the card, so NVIDIA's driver cannot use it"
        return fail(check, "driver-nouveau", summary, _cards(cards))
    if facts.driver.module_installed or facts.nvml.loaded or facts.cuda.loaded:
        return _not_loaded(check, facts, cards)
    return fail(check, "driver-missing", "an NVIDIA card is there, but no NVIDIA driver", _cards(cards))


def _not_loaded(check: str, facts: Facts, cards: list[Card]) -> Finding:
    evidence = [*_cards(cards), "/sys/module/nvidia does not exist"]
    if facts.driver.module_installed:
        evidence.append(f"nvidia.ko is installed for kernel {facts.driver.kernel}")
    else:
        evidence.append(f"no nvidia.ko was found for the running kernel {facts.driver.kernel}")
    refused = [line for line in facts.kernel_log.driver_lines if line.startswith(REFUSED)]
    if refused:
        summary = "the kernel refused NVIDIA's module because of its signature"
        return fail(check, "driver-secure-boot", summary, [*evidence, refused[-1]])
    if facts.driver.secure_boot:
        evidence.append("Secure Boot is on: if modprobe says 'Key was rejected by service', that is the cause")
    summary = "the NVIDIA driver is installed, but its kernel module is not loaded"
    steps = cause("driver-not-loaded").fix
    # Nothing is to be built where the module is there for this kernel.
    fix = ("sudo modprobe nvidia", *steps[1:]) if facts.driver.module_installed else steps
    return fail(check, "driver-not-loaded", summary, evidence, fix)


def _cards(cards: list[Card]) -> list[str]:
    return [f"PCI {card.address}: NVIDIA {card.device}, kernel driver {card.driver or 'none'}" for card in cards]


def driver_library(facts: Facts) -> Finding:
    """What it checks: that libcuda.so.1 loads, and that driver libraries and kernel module are of one version.
    Why it matters: a library of another version is refused by the kernel module.
    How to fix: reboot after a driver upgrade; remove driver libraries that are baked into an image.
    Reference: https://docs.nvidia.com/deploy/cuda-compatibility/
    """
    check = "driver-library"
    if not presence(facts).expected:
        return skip(check, "no GPU is expected here")
    if facts.nvml.init_code == 18:
        evidence = [
            "nvmlInit returned 18 (NVML_ERROR_LIB_RM_VERSION_MISMATCH)",
            f"library: {facts.nvml.path}",
            f"loaded kernel module: {facts.driver.module_version or 'unknown'}",
            *[line for line in facts.kernel_log.driver_lines if "API mismatch" in line][-1:],
        ]
        return fail(check, "driver-library-mismatch", "driver libraries and kernel module differ in version", evidence)
    if facts.cuda.loaded and _hides_wsl(facts):
        summary = "a Linux driver library is in front of WSL's: inside WSL only the driver of Windows may be installed"
        return fail(check, "wsl-driver-libs-missing", summary, [f"libcuda: {facts.cuda.path}"])
    if facts.cuda.loaded:
        return ok(check, "libcuda.so.1 loads", [f"libcuda: {facts.cuda.path}"] if facts.cuda.path else [])
    if facts.cuda.crash is not None:
        return skip(check, "loading libcuda.so.1 crashed; see cuda-init")
    return _not_found(check, facts)


def _hides_wsl(facts: Facts) -> bool:
    # In a container the toolkit mounts WSL's library at a place of its own.
    if not facts.driver.wsl or facts.container.inside or facts.cuda.init_code == 0:
        return False
    return not (facts.cuda.path or WSL_LIBRARIES).startswith(WSL_LIBRARIES)


def _not_found(check: str, facts: Facts) -> Finding:
    evidence = [facts.cuda.error or "libcuda.so.1 does not load"]
    if facts.driver.wsl:
        return fail(check, "wsl-driver-libs-missing", "WSL's libcuda.so.1 is not found", evidence)
    if facts.container.inside:
        if not reached_container(facts):
            return skip(check, "this container was given no GPU; see container-gpu")
        return _not_mounted(check, facts, evidence)
    if facts.driver.module_version is None and not facts.nvml.loaded:
        return skip(check, "there is no driver to look into; see driver-module")
    summary = "the driver is loaded, but libcuda.so.1 is not installed"
    return fail(check, "driver-missing", summary, evidence, library_package(facts, "libcuda1"))


def _not_mounted(check: str, facts: Facts, evidence: list[str]) -> Finding:
    wanted = facts.environment.get("NVIDIA_DRIVER_CAPABILITIES", "")
    if wanted and not {"compute", "all"} & set(wanted.split(",")):
        evidence.append(f"NVIDIA_DRIVER_CAPABILITIES={wanted}")
        return fail(check, "container-capabilities-missing", "libcuda was not mounted into this container", evidence)
    nodes = ", ".join(facts.driver.device_nodes) or "none"
    evidence.append(f"device nodes: {nodes}")
    summary = "this container has the GPU's device nodes but not the driver's libraries"
    # Apptainer shows every device node, and the libraries only when asked.
    asked = start_with_gpu(facts) if "/.singularity.d" in " ".join(facts.container.evidence) else None
    return fail(check, "container-driver-libs-missing", summary, evidence, asked)
