"""Does NCCL_SOCKET_IFNAME select a network interface that exists."""

from __future__ import annotations

from envcheck.checks.answer import ok, skip, warn
from envcheck.facts import Facts
from envcheck.finding import Finding
from envcheck.presence import presence

CHECK = "nccl-interface"
VARIABLE = "NCCL_SOCKET_IFNAME"


def nccl_interface(facts: Facts) -> Finding:
    """What it checks: that NCCL_SOCKET_IFNAME, where set, leaves an interface of this machine.
    Why it matters: otherwise NCCL stops with "Bootstrap : no socket interface found".
    How to fix: unset NCCL_SOCKET_IFNAME, or name an interface of: ls /sys/class/net
    Reference: https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html#nccl-socket-ifname
    """
    value = facts.environment.get(VARIABLE)
    if not presence(facts).expected:
        return skip(CHECK, "no GPU is expected here")
    if not value:
        return skip(CHECK, f"{VARIABLE} is not set: NCCL chooses by itself")
    if not facts.network.interfaces:
        return skip(CHECK, "the network interfaces are not known")
    chosen = selected(value, facts.network.interfaces)
    evidence = [f"{VARIABLE}={value}", f"interfaces: {', '.join(facts.network.interfaces)}"]
    if chosen:
        return ok(CHECK, f"NCCL uses {', '.join(chosen)}", evidence)
    return warn(CHECK, "nccl-network-interface", f"{VARIABLE} selects no interface of this machine", evidence)


def selected(value: str, interfaces: tuple[str, ...]) -> tuple[str, ...]:
    """The interfaces that `value` leaves: names are prefixes, "=" asks for the whole name, "^" leaves out."""
    exclude = value.startswith("^")
    rest = value[1:] if exclude else value
    exact = rest.startswith("=")
    names = [name.strip() for name in rest.removeprefix("=").split(",") if name.strip()]

    def named(interface: str) -> bool:
        return interface in names if exact else interface.startswith(tuple(names))

    return tuple(interface for interface in interfaces if named(interface) is not exclude)
