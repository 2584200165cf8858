"""Whether a running container still has its GPUs: a reload of the engine or of systemd may take them away."""

from __future__ import annotations

from contextlib import suppress

from launcher.engine import Engine
from launcher.errors import LauncherError
from launcher.findings import report_of

LOST = "container-lost-gpu"
# For `status`, which is waited for: NVML gets three seconds, and a driver that hangs is given up after five.
LOOK = ("timeout", "--kill-after=1", "5", "env", "ENVCHECK_TIMEOUT=3", "envcheck", "--json", "--only", "driver")
# A container made anew gets what the engine and the driver offer today.
HEALED_BY_A_NEW_CONTAINER = (
    LOST,
    "cuda-unknown-init",
    "container-no-gpu-runtime",
    "container-driver-libs-missing",
    "driver-library-mismatch",
)


def gpu_lost(engine: Engine, name: str) -> bool | None:
    """One look with envcheck inside; None where it cannot tell in a few seconds."""
    with suppress(LauncherError):
        report = report_of(engine.execute(name, LOOK))
        if "verdict" in report:
            return any(finding.get("cause") == LOST for finding in report.get("findings") or ())
    return None
