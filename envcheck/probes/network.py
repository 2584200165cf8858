"""Names of network interfaces and of InfiniBand or RoCE devices. Nothing is connected to."""

from __future__ import annotations

from pathlib import Path

from envcheck.facts import Network
from envcheck.probes.paths import entries


def probe_network(root: Path) -> Network:
    """Files only: https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-net"""
    return Network(entries(root, "/sys/class/net"), entries(root, "/sys/class/infiniband"))
