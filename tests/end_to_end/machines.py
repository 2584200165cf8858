"""Faked machines (ENVCHECK_ROOT) and a hand-made CDI spec: what a card, driver and toolkit would leave behind."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import lacking
from tests.end_to_end.private_engine import PrivateEngine
from tests.waiting import wait_until

Launch = Callable[..., "Run"]
FAKE_DRIVERS = Path(__file__).parents[1] / "fakedrivers"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
SPEC_NAME = "nvidia.json"


@dataclass(frozen=True, slots=True)
class Run:
    """How a launcher run ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def first_line(self) -> str:
        return self.stderr.splitlines()[0]


def machine(root: Path, *, card: bool, driver: bool = False) -> Path:
    """The files of /sys and /dev that decide whether a card and its kernel module are there."""
    root.mkdir()
    if card:
        device = root / "sys/bus/pci/devices/0000:01:00.0"
        device.mkdir(parents=True)
        for name, value in {"vendor": "0x10de", "class": "0x030200", "device": "0x2684"}.items():
            (device / name).write_text(value + "\n")
        if driver:
            (device / "driver").symlink_to("../../../../bus/pci/drivers/nvidia")
    if driver:
        module = root / "sys/module/nvidia"
        module.mkdir(parents=True)
        (module / "version").write_text("580.65.06\n")
        (root / "dev").mkdir()
        (root / "dev/nvidiactl").touch()
    return root


def compile_driver(directory: Path, source: str = "libcuda.c", name: str = "libcuda.so.1") -> Path:
    """The stand-in for one of the driver's libraries; raises CalledProcessError or OSError without a C compiler."""
    library = directory / name
    command = ["cc", "-shared", "-fPIC", "-o", str(library), str(FAKE_DRIVERS / source)]
    subprocess.run(command, check=True, capture_output=True)
    return library


def compile_nvml(directory: Path) -> Path:
    """The stand-in for libnvidia-ml.so.1; raises as compile_driver does."""
    return compile_driver(directory, "libnvml.c", "libnvidia-ml.so.1")


def compiled(compile_library: Callable[[Path], Path], directory: Path) -> Path:
    """The library; without a C compiler the tests that need it are skipped, or fail when strict."""
    try:
        return compile_library(directory)
    except (OSError, subprocess.CalledProcessError) as error:
        lacking(f"no C compiler: {error}")


def write_spec(
    directory: Path, *, library: Path | None = None, nvml: Path | None = None, names: Sequence[str] = ("0", "1")
) -> None:
    """A spec of the GPUs `names` and `all`: nodes that are /dev/null, a mount, and a variable.

    `library` and `nvml` are mounted where the driver's libcuda and libnvidia-ml would be.
    """
    mounts = [("/etc/os-release", "/usr/share/driver-note")]
    mounts += [(str(path), f"{LIBRARIES}/{path.name}") for path in (library, nvml) if path]
    nodes = {name: [f"/dev/nvidia{index}"] for index, name in enumerate(names)}
    nodes["all"] = [path for paths in nodes.values() for path in paths]
    spec = {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "containerEdits": {
            "deviceNodes": [_node("/dev/nvidiactl")],
            "env": ["DRIVER_NOTE=from-the-spec"],
            "mounts": [{"hostPath": h, "containerPath": c, "options": ["ro", "nosuid", "bind"]} for h, c in mounts],
        },
        "devices": [
            {"name": name, "containerEdits": {"deviceNodes": [_node(path) for path in paths]}}
            for name, paths in nodes.items()
        ],
    }
    (directory / SPEC_NAME).write_text(json.dumps(spec))


def remove_spec(directory: Path) -> None:
    """The engine without a toolkit again."""
    (directory / SPEC_NAME).unlink(missing_ok=True)


def offer_gpus(engine: PrivateEngine, **options: Any) -> None:
    """As write_spec, once the engine has read it: it watches the directory, and is told some time later."""
    withdraw_gpus(engine)
    write_spec(engine.cdi_directory, **options)
    wait_until(lambda: _discovered(engine), "the engine reads the CDI spec")


def withdraw_gpus(engine: PrivateEngine) -> None:
    """As remove_spec, once the engine has seen that."""
    remove_spec(engine.cdi_directory)
    wait_until(lambda: not _discovered(engine), "the engine sees that there is no CDI spec")


def _discovered(engine: PrivateEngine) -> Any:
    return json.loads(engine.docker("info", "--format", "{{json .DiscoveredDevices}}"))


def _node(path: str) -> dict[str, str]:
    return {"path": path, "hostPath": "/dev/null"}
