"""NVIDIA's and PyTorch's published tables (compat.toml) as questions with one answer each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from envcheck.tables import load_table


@dataclass(frozen=True, slots=True)
class Floor:
    """The lowest Linux driver that is enough, and where that is published."""

    driver: str
    source: str


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One error number of CUDA or NVML. `cause` is None where the number alone does not tell."""

    code: int
    name: str
    text: str
    cause: str | None


@cache
def _tables() -> dict[str, Any]:
    return load_table("compat.toml")


def version_key(version: str) -> tuple[int, ...]:
    """ "570.26" as (570, 26), for comparison. A part without leading digits ends the key."""
    parts: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts)


def assumed_cuda_major() -> int:
    """The CUDA major version that is judged by where no wheel and no image says one."""
    return int(_tables()["assumed_wheel"]["cuda_major"])


def driver_floor(cuda_major: int) -> Floor | None:
    """The minor-version-compatibility floor; None for a CUDA this table does not know, which is no fault."""
    for row in _tables()["driver_floor"]:
        if row["cuda_major"] == cuda_major:
            return Floor(row["driver"], row["source"])
    return None


def toolkit_driver(cuda: str) -> str | None:
    """The driver that came with CUDA `cuda` ("12.8"); None for a version this table does not know."""
    table = _tables()["cuda_toolkit"]
    return dict(zip(table["versions"], table["drivers"], strict=True)).get(cuda)


def brand_name(brand: int | None) -> str | None:
    """nvmlBrandType_t as the requirement language names it; None for one this table does not know."""
    names: list[str] = _tables()["nvml_brand"]["names"]
    return names[brand] if brand is not None and 0 <= brand < len(names) else None


def cuda_version_text(number: int) -> str:
    """12080 as "12.8"."""
    return f"{number // 1000}.{number % 1000 // 10}"


def cudnn_driver_floor(cudnn: int, capability: str) -> Floor | None:
    """The floor cuDNN's support matrix gives for this cuDNN (90100 for 9.1.0) on this compute capability."""
    for row in _tables()["cudnn_floor"]:
        known = row["cudnn_from"] <= cudnn <= row["cudnn_to"]
        if known and version_key(capability) >= version_key(row["capability_from"]):
            return Floor(row["driver"], row["source"])
    return None


def cuda_error(code: int) -> ErrorCode:
    """What a CUDA error number means; an unknown number is reported as such."""
    return _error("cuda_error", code)


def nvml_error(code: int) -> ErrorCode:
    """What an NVML return code means; an unknown number is reported as such."""
    return _error("nvml_error", code)


def _error(table: str, code: int) -> ErrorCode:
    for row in _tables()[table]:
        if row["code"] == code:
            return ErrorCode(code, row["name"], row.get("text", ""), row.get("cause"))
    return ErrorCode(code, f"error {code}", "", None)


def cudnn_version_text(number: int) -> str:
    """90100 as "9.1.0"; before cuDNN 9 the number was major*1000 + minor*100 + patch."""
    if number >= 90000:
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return f"{number // 1000}.{number // 100 % 10}.{number % 100}"


def has_open_module_only(pci_device: str) -> bool:
    """Whether a card of this PCI device id ("0x2b85") is of a generation the closed kernel module does not drive."""
    try:
        return int(pci_device, 16) >= int(_tables()["open_module_only"]["pci_device_from"], 16)
    except ValueError:
        return False
