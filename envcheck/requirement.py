"""What an image requires of card and driver: the NVIDIA_REQUIRE_* language of the NVIDIA Container Toolkit. Pure.

The toolkit refuses to start a container whose requirement is not met ("requirement error: unsatisfied condition:
cuda>=12.8"). `unmet` tells that before an image is started. Alternatives are separated by spaces, the conditions of one
by commas: "cuda>=12.8 brand=tesla,driver>=535,driver<536". All NVIDIA_REQUIRE_* variables must be met.
Source: https://github.com/NVIDIA/libnvidia-container (src/cli/dsl.c) and
https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html#constraints
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from envcheck.compat import brand_name, cuda_version_text
from envcheck.facts import Nvml, NvmlDevice

PREFIX = "NVIDIA_REQUIRE_"
# Another program's; the toolkit passes it over too.
JETPACK = "NVIDIA_REQUIRE_JETPACK"
DISABLE = "NVIDIA_DISABLE_REQUIRE"
# What Go's strconv.ParseBool, which the toolkit uses, takes for true.
TRUE = ("1", "t", "T", "TRUE", "true", "True")
CONDITION = re.compile(r"(\w+)(<=|>=|!=|<|>|=)(\S+)")
VERSION = re.compile(r"[\d.]*\d[\d.]*")


class RequirementError(ValueError):
    """An expression that the language does not have; the message quotes it."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What one GPU and its driver offer. What is not known (None) meets every condition, as in the toolkit.

    `cuda` is the version the driver supports ("12.8"), `arch` the compute capability, `brand` as in compat.toml.
    """

    cuda: str | None = None
    driver: str | None = None
    brand: str | None = None
    arch: str | None = None


def unmet(environment: Mapping[str, str], nvml: Nvml) -> str | None:
    """The first alternative ("cuda>=12.8") of a requirement that a GPU of `nvml` does not meet; None: all are met.

    `environment` is the image's. Raises RequirementError.
    """
    devices: tuple[NvmlDevice | None, ...] = nvml.devices or (None,)
    for expression in requirements(environment):
        if not all(satisfied(expression, properties(nvml, device)) for device in devices):
            return expression.split()[0]
    return None


def requirements(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Every expression that counts: none where NVIDIA_DISABLE_REQUIRE is true.

    An image with CUDA_VERSION alone, as before NVIDIA_REQUIRE_CUDA came, requires that version.
    """
    if environment.get(DISABLE) in TRUE:
        return ()
    names = sorted(name for name in environment if name.startswith(PREFIX) and not name.startswith(JETPACK))
    found = [environment[name] for name in names if environment[name].strip()]
    version = re.match(r"\d+\.\d+", environment.get("CUDA_VERSION", ""))
    if version and not environment.get(f"{PREFIX}CUDA"):
        found.append(f"cuda>={version.group(0)}")
    return tuple(found)


def properties(nvml: Nvml, device: NvmlDevice | None) -> Properties:
    """What NVML says about `device`, and about the driver."""
    return Properties(
        cuda=cuda_version_text(nvml.cuda_version) if nvml.cuda_version else None,
        driver=nvml.driver_version,
        brand=brand_name(device.brand) if device is not None else None,
        arch=device.compute_capability if device is not None else None,
    )


def satisfied(expression: str, offered: Properties) -> bool:
    """Whether one alternative has all its conditions met. Raises RequirementError."""
    alternatives = [[part for part in term.split(",") if part] for term in expression.split()]
    # Every condition is read, so that a mistake is told whichever alternative is met.
    met = [[_met(condition, offered) for condition in conditions] for conditions in alternatives]
    return not met or any(all(results) for results in met)


def _met(condition: str, offered: Properties) -> bool:
    parsed = CONDITION.fullmatch(condition)
    if parsed is None:
        raise RequirementError(f"not a condition of the requirement language: {condition!r}")
    name, operator, wanted = parsed.group(1).lower(), parsed.group(2), parsed.group(3)
    if name not in ("cuda", "driver", "brand", "arch"):
        return True  # a property of a newer toolkit; only that toolkit can judge it
    value: str | None = getattr(offered, name)
    if name == "brand":
        return _same(value, operator, wanted, condition)
    if VERSION.fullmatch(wanted) is None:
        raise RequirementError(f"not a version: {condition!r}")
    return value is None or _compares(value, operator, wanted)


def _same(value: str | None, operator: str, wanted: str, condition: str) -> bool:
    if operator not in ("=", "!="):
        raise RequirementError(f"a brand can only be equal or not: {condition!r}")
    return value is None or (value.lower() == wanted.lower()) is (operator == "=")


def _compares(value: str, operator: str, wanted: str) -> bool:
    left, right = _numbers(value), _numbers(wanted)
    return {
        "=": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[operator]


def _numbers(version: str) -> tuple[int, ...]:
    """ "12.0" and "12" are one version: trailing zeros do not count."""
    numbers = [int(part) for part in re.findall(r"\d+", version)]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
