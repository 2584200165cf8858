"""What may leave the machine in a recording.

Identities are found by their form in the fields that can hold them, never by searching for a name: GPU and MIG UUIDs,
paths below a home directory, interfaces named after their hardware address, and in the messages of other programs
internet addresses and host names. The same identity becomes the same placeholder everywhere, so that a recording is
judged like the machine. User names, host names and serial numbers are not recorded in fields of their own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from envcheck.facts import Facts

UUID = re.compile(r"\b(GPU|MIG)-[0-9a-fA-F]{4,8}[0-9a-fA-F-]*(?:/\d+/\d+)?")
# A network card whose only name is its address: https://systemd.io/PREDICTABLE_INTERFACE_NAMES/
INTERFACE = re.compile(r"\benx[0-9a-f]{12}\b")
# Home directories of other users, whose names tell as much; /root names nobody.
HOMES = re.compile(r"(?<![\w./-])/(?:home|Users)/(?!redacted-)[^/\s:'\"]+")
# Fields with words of other programs. Elsewhere four numbers with dots are a version.
MESSAGES = frozenset({"error", "stderr", "text", "reason", "unread", "cuda_warning", "cudnn_error", "nccl_error"})
ADDRESS = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)"  # internet protocol version 4
    r"|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){3,7}:?[0-9a-fA-F]{1,4}\b"  # version 6, and hardware addresses
)
# "host:pid:thread [rank] NCCL ...": https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html#nccl-debug
NCCL_HOST = re.compile(r"[\w.-]+:\d+:\d+ (?=\[\d+\])")


def redact(facts: Facts, home: Path) -> Facts:
    """`facts` without identities. `home` is the user's home directory; "/" means there is none."""
    placeholders = _Placeholders(facts)
    own = None if home == Path("/") else re.compile(rf"(?<![\w./-]){re.escape(str(home))}(?![\w.-])")

    def text(value: str, field: str) -> str:
        value = own.sub("~", value) if own is not None else value
        value = UUID.sub(placeholders.uuid, HOMES.sub(placeholders.home, value))
        value = INTERFACE.sub(placeholders.interface, value)
        return NCCL_HOST.sub("host:0:0 ", ADDRESS.sub("<address>", value)) if field in MESSAGES else value

    redacted: Facts = _walk(facts, "", text)
    return redacted


class _Placeholders:
    """One placeholder an identity: cards and instances by their place in NVML's list, others as they come."""

    def __init__(self, facts: Facts) -> None:
        self._known: dict[str, str] = {}
        for device in facts.nvml.devices:
            self._known[device.uuid] = f"GPU-redacted-{device.index}"
            for number, uuid in enumerate(device.mig_uuids):
                self._known[uuid] = f"MIG-redacted-{device.index}-{number}"

    def uuid(self, match: re.Match[str]) -> str:
        """CUDA takes the beginning of a UUID for the whole."""
        name = match.group(0)
        whole = next((uuid for uuid in self._known if uuid.startswith(name)), name)
        return self._known.setdefault(whole, f"{match.group(1)}-redacted-x{len(self._known)}")

    def home(self, match: re.Match[str]) -> str:
        """Different users stay different: whether two paths are one place is judged."""
        return self._known.setdefault(match.group(0), f"/home/redacted-{len(self._known)}")

    def interface(self, match: re.Match[str]) -> str:
        """The prefix stays: NCCL_SOCKET_IFNAME may name it alone."""
        return self._known.setdefault(match.group(0), f"enx-redacted-{len(self._known)}")


def _walk(value: Any, field: str, text: Callable[[str, str], str]) -> Any:  # noqa: ANN401  (facts are nested)
    """The same structure with every string rewritten, `field` being the innermost dataclass field it belongs to."""
    if isinstance(value, str):
        return text(value, field)
    if isinstance(value, tuple):
        return tuple(_walk(item, field, text) for item in value)
    if isinstance(value, dict):
        return {key: _walk(item, field, text) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {item.name: _walk(getattr(value, item.name), item.name, text) for item in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    return value
