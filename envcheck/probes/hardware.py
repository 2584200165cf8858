"""The GPU rule: is there an NVIDIA card here that a program could be meant to use."""

from __future__ import annotations

from pathlib import Path

from envcheck.facts import Card, Cuda, Hardware, Nvml, Request
from envcheck.probes.container import probe_request
from envcheck.probes.cuda import probe_cuda
from envcheck.probes.nvml import probe_nvml
from envcheck.probes.paths import below, entries, exists, read_text

PCI_DEVICES = "/sys/bus/pci/devices"
NVIDIA = "0x10de"  # https://pci-ids.ucw.cz/read/PC/10de
DISPLAY_CLASS = "0x03"  # PCI base class 03: display controllers, VGA (0300) and 3D (0302) alike
GIVEN_TO_A_VIRTUAL_MACHINE = "vfio-pci"
# Not loaded, CUDA_ERROR_NO_DEVICE, NVML_ERROR_DRIVER_NOT_LOADED.
NOTHING_THERE = (None, 100, 9)


def probe_hardware(root: Path) -> Hardware:
    """A card is present when a display function of vendor 0x10de not bound to vfio-pci exists, or
    /proc/driver/nvidia, /dev/nvidiactl or /dev/dxg, or a libcuda or NVML that loads.

    Inside a container of the launcher, a request for the CPU overrides what the host's bus shows.
    """
    seen = scan_hardware(root, probe_request(root))
    if seen.present:
        return seen
    return with_libraries(seen, probe_cuda(root), probe_nvml(root))


def scan_hardware(root: Path, request: Request | None) -> Hardware:
    """The part of the rule that needs only files."""
    cards = _cards(root)
    usable = [card for card in cards if card.driver != GIVEN_TO_A_VIRTUAL_MACHINE]
    evidence = [f"PCI {card.address} is NVIDIA {card.device}, driver {card.driver or 'none'}" for card in cards]
    present = bool(usable)
    if exists(root, "/proc/driver/nvidia"):
        present = True
        evidence.append("/proc/driver/nvidia exists")
    if present and request is not None and request.device == "cpu":
        # A container sees its host's bus and /proc; only what was given to it counts.
        present = False
        evidence.append(f"this container was started for the CPU: {request.reason or 'no reason recorded'}")
    for node in ("/dev/nvidiactl", "/dev/dxg"):
        if exists(root, node):
            present = True
            evidence.append(f"{node} exists")
    return Hardware(present, tuple(cards), tuple(evidence))


def with_libraries(seen: Hardware, cuda: Cuda, nvml: Nvml) -> Hardware:
    """A driver library that loads counts as a card: it was put there for one."""
    loaded = [
        path or name
        for name, path, found in (
            ("libcuda.so.1", cuda.path, cuda.loaded),
            ("libnvidia-ml.so.1", nvml.path, nvml.loaded),
        )
        if found
    ]
    evidence = seen.evidence + tuple(f"{path} loads" for path in loaded)
    # The driver stays installed where its only card was given to a virtual machine.
    given_away = bool(seen.cards) and all(card.driver == GIVEN_TO_A_VIRTUAL_MACHINE for card in seen.cards)
    counts = bool(loaded) and not (given_away and cuda.init_code in NOTHING_THERE and nvml.init_code in NOTHING_THERE)
    return Hardware(seen.present or counts, seen.cards, evidence)


def _cards(root: Path) -> list[Card]:
    cards = []
    for address in entries(root, PCI_DEVICES):
        directory = f"{PCI_DEVICES}/{address}"
        pci_class = read_text(root, f"{directory}/class") or ""
        if read_text(root, f"{directory}/vendor") == NVIDIA and pci_class.startswith(DISPLAY_CLASS):
            device = read_text(root, f"{directory}/device") or "unknown"
            cards.append(Card(address, device, pci_class, _driver(root, directory), _slot_width(root, directory)))
    return cards


def _slot_width(root: Path, directory: str) -> int | None:
    """Lanes of the port above the card, which lies above it in /sys/devices as well."""
    try:
        text = (below(root, directory).resolve().parent / "max_link_width").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    # 0 and 255 mean that the port does not tell.
    return int(text) if text.strip().isdecimal() and 0 < int(text) < 255 else None


def _driver(root: Path, directory: str) -> str | None:
    link = below(root, f"{directory}/driver")
    try:
        return link.readlink().name
    except OSError:
        return None
