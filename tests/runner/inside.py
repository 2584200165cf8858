"""The tests that need torch, run inside the image, where torch is.

`python -m tests.runner.inside IMAGE RESULTS [PYTEST ARGUMENT...]`
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# pytest and all it needs on Python 3.11 are pure Python, so the test environment's own files serve any version.
PYTEST = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
MOUNTED = ("tests", "images", "envcheck", "pyproject.toml")
CHECKOUT = "/checkout"
SITE = "/pytest-site"
RESULTS = "/results"
SHARED_MEMORY = "1g"  # DataLoader workers and gloo exchange tensors there
UNPRIVILEGED = 1000


ROOT = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str]) -> int:
    """A process of its own, so that it can run beside the tests on the host and be ended with them."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    image, results, *arguments = argv
    try:
        return run_inside(image, arguments, ROOT, Path(results))
    except KeyboardInterrupt:
        return 130


def run_inside(image: str, arguments: Sequence[str], root: Path, results: Path) -> int:
    """Run pytest in `image` as an ordinary user without network or capabilities; returns its exit code."""
    import docker

    uid, gid = _user(root)
    results.chmod(0o755)
    os.chown(results, uid, gid)
    client = docker.from_env()
    with tempfile.TemporaryDirectory(prefix="gpu-launcher-pytest-") as site:
        copy_pytest(Path(site))
        Path(site).chmod(0o755)
        container = client.containers.create(
            image,
            ["python", "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={RESULTS}/inside.xml", *arguments],
            **_options(root, Path(site), results, uid, gid),
        )
        try:
            container.start()
            for chunk in container.logs(stream=True, follow=True):
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            return int(container.wait()["StatusCode"])
        finally:
            container.remove(force=True, v=True)
            client.close()


def _user(root: Path) -> tuple[int, int]:
    """The caller; for root, an ordinary user, as tests of permissions mean nothing to root."""
    if os.getuid():
        return os.getuid(), os.getgid()
    readable = (root / "tests/conftest.py").stat().st_mode & 0o004
    return (UNPRIVILEGED, UNPRIVILEGED) if readable else (0, 0)


def _options(root: Path, site: Path, results: Path, uid: int, gid: int) -> dict[str, Any]:
    volumes = {str(root / name): {"bind": f"{CHECKOUT}/{name}", "mode": "ro"} for name in MOUNTED}
    volumes[str(site)] = {"bind": SITE, "mode": "ro"}
    volumes[str(results)] = {"bind": RESULTS, "mode": "rw"}
    environment = {
        "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT}/images:{SITE}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # JupyterLab's packages bring plugins of their own
        "COLUMNS": str(shutil.get_terminal_size().columns),
        **{name: os.environ[name] for name in ("CI", "GPU_LAUNCHER_TESTS_STRICT") if name in os.environ},
    }
    if images := os.environ.get("CIFAR10_NPZ"):
        volumes[str(Path(images).resolve())] = {"bind": "/cifar10.npz", "mode": "ro"}
        environment["CIFAR10_NPZ"] = "/cifar10.npz"
    processors = os.cpu_count() or 1
    return {
        "volumes": volumes,
        "environment": environment,
        "user": f"{uid}:{gid}",
        "working_dir": CHECKOUT,
        "network_mode": "none",
        # Without a network Docker writes no name for the container itself, which torchrun resolves.
        "hostname": "tests",
        "extra_hosts": {"tests": "127.0.0.1"},
        "shm_size": SHARED_MEMORY,
        # The other half is the host's: PyTorch's threads spin, and more of them than processors crawl.
        "cpuset_cpus": f"{processors // 2}-{processors - 1}",
        "cpu_shares": 256,  # of 1024: the host's tests wait for engines and servers, and go first when they do not
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "init": True,
    }


def copy_pytest(target: Path) -> None:
    """Copy pytest's distributions from this environment, metadata included, without compiled bytecode."""
    for name in PYTEST:
        for file in importlib.metadata.files(name) or ():
            if file.is_absolute() or ".." in file.parts or file.suffix == ".pyc":
                continue
            destination = target / file
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), destination)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
