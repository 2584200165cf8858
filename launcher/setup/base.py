"""The base root file system: a local image, else the registry's, else made from the Debian package mirror."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import LauncherError, NotReadyError
from launcher.progress import Progress
from launcher.setup.client import BuildClient
from launcher.setup.failure import build_error
from launcher.setup.mirrors import Mirrors
from launcher.setup.stream import run_streaming
from launcher.stacks import Stack

PULL_STALL_SECONDS = 20
BOOTSTRAP_STALL_SECONDS = 300
# Every file of the archive gets at most this time, so that two runs on the same mirror state are byte-equal.
# 2023-06-10, the day bookworm was released.
DEFAULT_EPOCH = "1686355200"
INSTALL = "apt-get install -y mmdebstrap debian-archive-keyring"
EXCLUDED = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The command that makes a root file system here, and what it is run through."""

    tool: str
    prefix: tuple[str, ...] = ()
    mode: str = "root"


def root_reference(stack: Stack) -> str:
    """Name of the image that `bootstrap` makes."""
    return f"gpu-launcher/root:{stack.debian}"


def ensure_root(stack: Stack, client: BuildClient, mirrors: Mirrors, progress: Progress, *, consent: bool) -> str:
    """Reference of a base image that the engine has, made or pulled when needed.

    `consent` allows installing mmdebstrap where it is missing. Raises NotReadyError or LauncherError.
    """
    official = f"debian:{stack.debian}-slim"
    mirror = os.environ.get("LAUNCHER_REGISTRY_MIRROR", "").rstrip("/")
    remote = f"{mirror}/library/{official}" if mirror else official
    for reference in (root_reference(stack), remote, official):
        if _has_image(client, reference):
            return reference
    with progress.phase("base image"):
        progress.say(f"Base image: {remote}")
        refusal = _pull(client, remote, progress)
        if refusal is None:
            return remote
        progress.say(f"No registry ({refusal}): making the base image from {_source(mirrors)}")
        _bootstrap(stack, client, mirrors, progress, consent=consent)
    return root_reference(stack)


def choose_bootstrap(
    which: Callable[[str], str | None], uid: int, *, sudo: bool, subordinate_ids: bool
) -> Bootstrap | None:
    """How a root file system can be made by `uid` with the tools that `which` finds; None when it cannot."""
    prefix = () if uid == 0 else ("sudo", "-n", "--preserve-env=SOURCE_DATE_EPOCH,http_proxy,https_proxy,no_proxy")
    if which("mmdebstrap"):
        if uid == 0 or sudo:
            return Bootstrap("mmdebstrap", prefix)
        if subordinate_ids and which("newuidmap"):
            return Bootstrap("mmdebstrap", (), "unshare")
    if which("debootstrap") and (uid == 0 or sudo):
        return Bootstrap("debootstrap", prefix)
    return None


def bootstrap_command(how: Bootstrap, stack: Stack, mirrors: Mirrors, directory: Path) -> list[str]:
    """argv that writes DIRECTORY/root.tar. Nothing of this machine's mirror, proxy or CA stays in the archive."""
    archive = directory / "root.tar"
    if how.tool == "debootstrap":
        # debootstrap writes a tree; tar with a fixed order, owner and time makes the same archive of the same tree.
        script = (
            'set -e; debootstrap --variant=minbase "$1" "$2/root" ${3:+"$3"} >&2; '
            'rm -rf "$2"/root/var/cache/apt/archives/*.deb "$2"/root/var/lib/apt/lists/* "$2"/root/var/log/*.log; '
            'rm -f "$2/root/etc/apt/sources.list"; tar -C "$2/root" --sort=name --numeric-owner '
            '--mtime="@$SOURCE_DATE_EPOCH" --clamp-mtime -cf "$2/root.tar" .; rm -rf "$2/root"'
        )
        return [*how.prefix, "sh", "-c", script, "sh", stack.debian, str(directory), mirrors.archive or ""]
    options = [f"--mode={how.mode}", "--variant=minbase", "--format=tar"]
    options += [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    options += [f'--aptopt={key} "{value}"' for key, value in mirrors.apt_settings]
    if mirrors.ca and (mirrors.archive or "").startswith("https"):
        options.append(f'--aptopt=Acquire::https::CAInfo "{mirrors.ca}"')
    options.append('--customize-hook=rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/apt/sources.list')
    return [*how.prefix, "mmdebstrap", *options, stack.debian, str(archive), *mirrors.apt_lines(stack.debian)]


def _source(mirrors: Mirrors) -> str:
    return mirrors.archive or "Debian's packages"


def _bootstrap(stack: Stack, client: BuildClient, mirrors: Mirrors, progress: Progress, *, consent: bool) -> None:
    how = _available() or (_install_tool(progress) if consent and os.geteuid() == 0 else None)
    if how is None:
        prefix = "" if os.geteuid() == 0 else "sudo "
        raise NotReadyError(
            "the base image can neither be pulled nor made: no registry answers, "
            "and mmdebstrap is missing or may not run",
            f"{prefix}{INSTALL} (Fedora: {prefix}dnf install debootstrap debian-keyring), "
            "then run this again as root, or as a user who has uidmap's newuidmap",
        )
    with tempfile.TemporaryDirectory(prefix="gpu-launcher-root-") as name:
        directory = Path(name)
        # mmdebstrap drops to another user that must reach its output.
        directory.chmod(0o755)
        environment = {"SOURCE_DATE_EPOCH": DEFAULT_EPOCH, **os.environ}
        done = run_streaming(
            bootstrap_command(how, stack, mirrors, directory),
            lambda line: _show(progress, line),
            environment=environment,
            stall_seconds=BOOTSTRAP_STALL_SECONDS,
        )
        if done.code:
            raise build_error(done.tail, f"the base image could not be made with {how.tool}", progress)
        command = client.command("import", "--message", f"Debian {stack.debian} from {_source(mirrors)}")
        command += [str(directory / "root.tar"), root_reference(stack)]
        loaded = run_streaming(command, lambda _line: None, environment=client.environment())
        if loaded.code:
            raise build_error(loaded.tail, "the engine did not accept the base image", progress)


def _available() -> Bootstrap | None:
    uid = os.geteuid()
    sudo = uid != 0 and shutil.which("sudo") is not None and _quiet(["sudo", "-n", "true"])
    return choose_bootstrap(shutil.which, uid, sudo=sudo, subordinate_ids=_has_subordinate_ids(uid))


def _has_subordinate_ids(uid: int) -> bool:
    try:
        lines = Path("/etc/subuid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    names = {str(uid), os.environ.get("USER", "")} | _user_names(uid)
    return any(line.split(":")[0] in names for line in lines if ":" in line)


def _user_names(uid: int) -> set[str]:
    import pwd

    try:
        return {pwd.getpwuid(uid).pw_name}
    except KeyError:
        return set()


def _install_tool(progress: Progress) -> Bootstrap | None:
    if shutil.which("apt-get") is None:
        return None
    progress.say(f"Installing: {INSTALL}")
    environment: Mapping[str, str] = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "-q", "update"], [*INSTALL.split(), "--no-install-recommends"]):
        done = run_streaming(command, lambda line: _show(progress, line), environment=environment)
    if done.code:
        raise build_error(done.tail, "mmdebstrap could not be installed", progress)
    return _available()


def _pull(client: BuildClient, reference: str, progress: Progress) -> str | None:
    """None when pulled, else the registry's or engine's last word."""
    try:
        done = run_streaming(
            client.command("pull", reference),
            lambda line: _show(progress, line),
            environment=client.environment(),
            stall_seconds=PULL_STALL_SECONDS,
        )
    except OSError as error:
        raise LauncherError(f"{client.path} cannot be run: {error}", "install the docker command line again") from error
    if done.stalled:
        return f"no answer in {PULL_STALL_SECONDS} s"
    return None if done.code == 0 else (done.tail[-1] if done.tail else f"exit {done.code}")


def _has_image(client: BuildClient, reference: str) -> bool:
    return _quiet(client.command("image", "inspect", reference))


def _quiet(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def _show(progress: Progress, line: str | None) -> None:
    if line and line.startswith(("I: ", "W: ", "E: ", "done")):
        progress.update(line)
