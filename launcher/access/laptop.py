"""What to run on the laptop somebody sits at who reached this machine by ssh."""

from __future__ import annotations

from collections.abc import Mapping

from launcher.access.ssh import USER, SshAccess, alias, login_name


def laptop_instructions(mode: str, name: str, port: int, environ: Mapping[str, str], access: SshAccess) -> str | None:
    """The tunnel's command for JupyterLab, or two pieces of configuration for ssh; None when nobody came by ssh."""
    fields = environ.get("SSH_CONNECTION", "").split()
    if len(fields) != 4:
        return None
    address, server_port = fields[2], fields[3]
    user = environ.get("USER") or login_name()
    if mode == "jupyter":
        port_option = "" if server_port == "22" else f"-p {server_port} "
        return f"ssh -N -L {port}:127.0.0.1:{port} {port_option}{user}@{address}"
    # With a port behind it, an IPv6 address needs brackets.
    place = f"[{address}]" if ":" in address else address
    known = (access.directory / "known_hosts" / name).read_text().strip()
    return (
        f"# append to ~/.ssh/config on the laptop\n"
        f"Host {name}\n    HostName 127.0.0.1\n    Port {port}\n    User {USER}\n"
        f"    ProxyJump {user}@{place}:{server_port}\n    HostKeyAlias {alias(name)}\n"
        f"# append to ~/.ssh/known_hosts on the laptop\n{known}"
    )
