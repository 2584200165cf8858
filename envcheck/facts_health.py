"""Facts about the condition of the cards: what NVML reads from each, the kernel's log, and Fabric Manager."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GpuHealth:
    """One GPU as NVML reads it. A field that is None has its reason in `unread`, by the field's name.

    Source of every field: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html. Error counters count
    since the driver was loaded, `*_lifetime` ones since the card was made. PCIe widths are lanes, and the maxima are
    what card and slot can do together. `clocks_event_reasons` is NVML's bit mask, `fabric_state` its
    nvmlGpuFabricState_t. Read at one moment, usually of an idle card: `envcheck gpu` reads some of it under load.
    """

    pci: str | None = None
    ecc_enabled: bool | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected_lifetime: int | None = None
    remapped_corrected: int | None = None
    remapped_uncorrected: int | None = None
    retired_pages_pending: bool | None = None
    pcie_width: int | None = None
    pcie_width_max: int | None = None
    pcie_generation: int | None = None
    pcie_generation_max: int | None = None
    clocks_event_reasons: int | None = None
    persistence: bool | None = None
    fabric_state: int | None = None
    fabric_status: int | None = None
    nvlinks_active: tuple[int, ...] | None = None
    nvlinks_inactive: tuple[int, ...] | None = None
    unread: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Xid:
    """One error number of the driver on one card in the kernel's log of this boot, however often it came.

    `text` is the last one's message without the process it names; `seconds` its time since boot.
    Source: https://docs.nvidia.com/deploy/xid-errors/
    """

    number: int
    pci: str
    count: int = 1
    text: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class KernelLog:
    """The NVIDIA driver's part of the kernel's log since boot. `source` is where it was read, `error` why not."""

    source: str | None = None
    error: str | None = None
    xids: tuple[Xid, ...] = ()
    driver_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FabricManager:
    """The service that brings up NVSwitch machines. `switches` are NVSwitch functions on the PCI bus.

    `service` is systemd's word for it ("active", "inactive", "failed"; "unknown": not installed), None with `error`.
    Source: https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/
    """

    switches: int = 0
    service: str | None = None
    version: str | None = None
    error: str | None = None
