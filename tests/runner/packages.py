"""Programs the tests call that a fresh machine may lack."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess

from launcher.errors import NotReadyError

# OpenSSH and rsync log in to environments; the compiler makes the fake driver libraries; shells complete words.
PROGRAMS = {
    "ssh": ("openssh-client",),
    "rsync": ("rsync",),
    "cc": ("gcc", "libc6-dev"),
    "git": ("git",),
    "zsh": ("zsh",),
    "fish": ("fish",),
}
# Ubuntu's package of that name installs a snap, which needs systemd and a store.
DEBIAN_PROGRAMS = {"chromium": ("chromium",)}


def install_missing_programs() -> None:
    """With apt-get, as root; elsewhere the tests that need them say so. Raises NotReadyError when apt-get fails."""
    programs = PROGRAMS | (DEBIAN_PROGRAMS if _is_debian() else {})
    missing = [package for program, packages in programs.items() if not shutil.which(program) for package in packages]
    if not missing or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    print(f"installing {', '.join(missing)}", flush=True)
    install = ("apt-get", "install", "-y", "-q", "--no-install-recommends", *missing)
    for command in (("apt-get", "update", "-q"), install):
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            last = done.stdout.strip().splitlines()[-1:]
            raise NotReadyError(f"{' '.join(command)}: {' '.join(last)}", "Correct that, then run this again")


def _is_debian() -> bool:
    try:
        return platform.freedesktop_os_release()["ID"] == "debian"
    except OSError:
        return False
