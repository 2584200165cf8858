"""A machine named gpu-box, reached by a real sshd on loopback: own keys, own accounts, own process namespace.

The server comes from Debian's package, unpacked and not installed. Files, containers and ports of gpu-box are this
machine's, so what tests see there is what an engine on another machine would see.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services import UnavailableError, free_port, ssh_answers, wait_for_service

PACKAGES = ("openssh-server", "libwrap0")
UID = 1234
NAMESPACES = ("setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child")
CONFIGURATION = """
ListenAddress 127.0.0.1
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
"""


@dataclass(frozen=True, slots=True)
class GpuBox:
    """The machine: `directory` holds keys and logs, `port` is its sshd's, `home` the user's home there."""

    directory: Path
    port: int
    home: Path
    process: subprocess.Popen[bytes]

    def know(self, home: Path, host: str = "gpu-box", *extra: str) -> None:
        """Let the laptop whose home this is log in: its ssh configuration names the machine, its key and host key."""
        ssh = home / ".ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        key = (self.directory / "host.pub").read_text()
        (ssh / "known_hosts_gpu_box").write_text(f"[127.0.0.1]:{self.port} {key}")
        lines = [f"Host {host}", "HostName 127.0.0.1", f"Port {self.port}", "User trainer"]
        lines += [f"IdentityFile {self.directory}/client", "IdentitiesOnly yes"]
        lines += [f"UserKnownHostsFile {ssh}/known_hosts_gpu_box", "GlobalKnownHostsFile /dev/null", *extra]
        (ssh / "config").write_text("\n    ".join(lines) + "\n")

    def logins(self) -> list[str]:
        """Log lines of accepted logins, one each."""
        lines = (self.directory / "log").read_text(errors="replace").splitlines()
        return [line for line in lines if "Accepted publickey" in line]


def server_program(cache: Path) -> Path:
    """The unpacked server package. Raises UnavailableError where apt cannot give it."""
    programs = cache / "sshd"
    if not (programs / "usr/sbin/sshd").exists():
        packages = cache / "sshd.packages"
        shutil.rmtree(packages, ignore_errors=True)
        packages.mkdir(parents=True)
        command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
        done = subprocess.run(command, cwd=packages, capture_output=True, text=True)
        if done.returncode != 0:
            raise UnavailableError(f"openssh-server cannot be downloaded: {done.stderr.strip().splitlines()[-1:]}")
        for package in packages.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(programs)], check=True)
    return programs


@contextmanager
def gpu_box(cache: Path, directory: Path, *settings: str, group: bool = True) -> Iterator[GpuBox]:
    """Start the machine; its user `trainer` (uid 1234) may use the engine unless `group` is False.

    `settings` are further lines of sshd_config. Raises UnavailableError.
    """
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "dpkg", "apt-get"))):
        raise UnavailableError("gpu-box needs root and Debian's packages")
    programs = server_program(cache)
    home = directory / "home"
    home.mkdir(mode=0o755)
    directory.chmod(0o755)
    os.chown(home, UID, UID)
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True)
    port = free_port()
    lines = [f"Port {port}", f"HostKey {directory}/host", f"AuthorizedKeysFile {directory}/client.pub", *settings]
    (directory / "sshd_config").write_text("\n".join(lines) + CONFIGURATION)
    _write_accounts(directory, home, group)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(_command(programs, directory), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for_service(process, lambda: ssh_answers(port), directory / "log", "sshd")
        yield GpuBox(directory, port, home, process)
    finally:
        process.kill()
        process.wait()


def _command(programs: Path, directory: Path) -> Sequence[str]:
    script = (
        f"mount --bind {directory}/passwd /etc/passwd && mount --bind {directory}/group /etc/group && "
        "mount -t proc proc /proc && mount -t tmpfs -o mode=755 tmpfs /run/sshd && "
        f"LD_LIBRARY_PATH={programs}/usr/lib/x86_64-linux-gnu:{programs}/usr/lib/aarch64-linux-gnu "
        f"exec {programs}/usr/sbin/sshd -D -e -f {directory}/sshd_config"
    )
    # The server's own directory, which every sshd wants; it is empty, and left.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    return [*NAMESPACES, "--", "sh", "-c", script]


def _write_accounts(directory: Path, home: Path, group: bool) -> None:
    passwd = [line for line in Path("/etc/passwd").read_text().splitlines() if f":{UID}:" not in line]
    passwd += [f"trainer:*:{UID}:{UID}::{home}:/bin/sh"]
    if not any(line.startswith("sshd:") for line in passwd):
        passwd.append("sshd:*:899:65534::/run/sshd:/usr/sbin/nologin")
    groups = [line for line in Path("/etc/group").read_text().splitlines() if f":{UID}:" not in line]
    groups.append(f"trainer:x:{UID}:")
    engine = Path("/var/run/docker.sock")
    gid = engine.stat().st_gid if engine.exists() else 0
    if group and gid:
        groups = [f"{line.rstrip(',')},trainer".replace(":,", ":") if f":{gid}:" in line else line for line in groups]
    (directory / "passwd").write_text("\n".join(passwd) + "\n")
    (directory / "group").write_text("\n".join(groups) + "\n")
