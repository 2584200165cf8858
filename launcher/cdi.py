"""Device names in the CDI specs of this machine: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def cdi_devices(directories: Iterable[str], vendor_class: str = "nvidia.com/gpu") -> tuple[str, ...]:
    """Fully qualified device names (kind=name) of one vendor and class; unreadable specs count as absent."""
    names = []
    for directory in directories:
        for path in sorted(Path(directory).glob("*")):
            if path.suffix in (".yaml", ".yml", ".json"):
                names += _devices(path, vendor_class)
    return tuple(dict.fromkeys(names))


def _devices(path: Path, vendor_class: str) -> list[str]:
    import yaml

    try:
        spec = yaml.safe_load(path.read_text())
        if spec["kind"] != vendor_class:
            return []
        return [f"{vendor_class}={device['name']}" for device in spec["devices"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return []
