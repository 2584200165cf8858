"""Rules of containers: what this one was given, and what the engine can give."""

from __future__ import annotations

from envcheck.facts import Runtime
from tests.unit.envcheck.machines import cpu_host, gpu_host, inside
from tests.unit.envcheck.rules.cases import LOST, Rule, bare_container, runtime

RULES: list[Rule] = [
    ("given", "container-gpu", inside(gpu_host(), "gpu"), "ok", None),
    ("asked for, not given", "container-gpu", bare_container(), "fail", "container-no-gpu-runtime"),
    ("asked for the CPU", "container-gpu", inside(cpu_host(), "cpu"), "skip", None),
    (
        "started without it",
        "container-gpu",
        bare_container(None, NVIDIA_VISIBLE_DEVICES="void"),
        "fail",
        "cuda-devices-masked",
    ),
    ("on a host", "container-gpu", gpu_host(), "skip", None),
    ("unset", "container-capabilities", inside(gpu_host(), "gpu"), "ok", None),
    ("all", "container-capabilities", inside(gpu_host(), "gpu", NVIDIA_DRIVER_CAPABILITIES="all"), "ok", None),
    (
        "both",
        "container-capabilities",
        inside(gpu_host(), "gpu", NVIDIA_DRIVER_CAPABILITIES="compute,utility"),
        "ok",
        None,
    ),
    (
        "no utility",
        "container-capabilities",
        inside(gpu_host(), "gpu", NVIDIA_DRIVER_CAPABILITIES="compute"),
        "warn",
        "container-capabilities-missing",
    ),
    (
        "no compute",
        "container-capabilities",
        inside(gpu_host(cuda=LOST), "gpu", NVIDIA_DRIVER_CAPABILITIES="utility"),
        "fail",
        "container-capabilities-missing",
    ),
    ("runtime registered", "container-runtime", gpu_host(), "ok", None),
    (
        "no toolkit",
        "container-runtime",
        runtime(toolkit=None, nvidia_runtime=False),
        "warn",
        "container-no-gpu-runtime",
    ),
    ("not configured", "container-runtime", runtime(nvidia_runtime=False), "warn", "container-unknown-runtime"),
    ("CDI only", "container-runtime", runtime(nvidia_runtime=False, cdi_specs=("/etc/cdi/nvidia.yaml",)), "ok", None),
    (
        "stale CDI",
        "container-runtime",
        runtime(cdi_specs=("/etc/cdi/nvidia.yaml",), cdi_missing_paths=("/usr/lib/libcuda.so.550",)),
        "warn",
        "container-cdi-unresolvable",
    ),
    ("no engine", "container-runtime", gpu_host(runtime=Runtime()), "skip", None),
    ("no card, no toolkit", "container-runtime", cpu_host(), "skip", None),
    ("broken settings", "container-runtime", runtime(error="not JSON"), "warn", "docker-daemon-unreachable"),
]
