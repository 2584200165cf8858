"""What OpenSSH's client prints when it cannot log in, as one cause and one next step. Pure."""

from __future__ import annotations

import re

from launcher.errors import LauncherError, NotReadyError, TimedOutError
from launcher.remote.ssh_host import SshHost

UNREACHABLE = "docker-daemon-unreachable"
# Pattern, class, what is wrong, next step, cause id; {host} and {login} are the machine and the command.
MESSAGES: tuple[tuple[str, type[LauncherError], str, str, str | None], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Offending \S+ key in",
        NotReadyError,
        "the host key of {host} is not the one that is known: it was set up anew, or somebody stands in between",
        "Ask its administrator for the new fingerprint, then: ssh-keygen -R {host}, and log in once by hand: {login}",
        "ssh-host-key-changed",
    ),
    (
        r"Host key verification failed|host key is known for",
        NotReadyError,
        "the host key of {host} is not known yet",
        "Log in once by hand and compare the fingerprint: {login}",
        None,
    ),
    (
        r"Permission denied \(|Too many authentication failures|No more authentication methods",
        NotReadyError,
        "{host} refuses the login",
        "Give it your key (ssh-copy-id), or unlock it (ssh-add); this must work without a question: {login} true",
        "ssh-publickey-denied",
    ),
    (
        r"timed out|Timeout, server",
        TimedOutError,
        "{host} does not answer",
        "See whether it is switched on and reachable from here (VPN, firewall): {login} true",
        UNREACHABLE,
    ),
    (
        r"Could not resolve hostname",
        NotReadyError,
        "there is no machine named {host}",
        "Correct the name in DOCKER_HOST or the Docker context, or add it to ~/.ssh/config.",
        UNREACHABLE,
    ),
    (
        r"Connection refused|No route to host|Network is unreachable|Connection closed|Connection reset|"
        r"kex_exchange_identification",
        NotReadyError,
        "{host} takes no ssh connection",
        "See whether it is switched on and its ssh server runs: {login} true",
        UNREACHABLE,
    ),
    (
        r"administratively prohibited|forwarding (request )?failed|forwarding is disabled",
        NotReadyError,
        "the ssh server of {host} forbids forwarding",
        "Ask its administrator for AllowTcpForwarding yes and AllowStreamLocalForwarding yes in sshd_config.",
        "ssh-forwarding-disabled",
    ),
)


def ssh_error(host: SshHost, message: str) -> LauncherError:
    """The error that the client's `message` stands for, else its own last line."""
    for pattern, error, cause, next_step, cause_id in MESSAGES:
        if re.search(pattern, message, re.IGNORECASE):
            names = {"host": host.host, "login": host.login}
            return error(cause.format(**names), next_step.format(**names), cause_id=cause_id)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return NotReadyError(
        f"cannot log in to {host.destination}: {lines[-1] if lines else 'ssh gave no reason'}",
        f"This must work without a question: {host.login} true",
        cause_id=UNREACHABLE,
    )
