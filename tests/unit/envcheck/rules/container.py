"""Rules of containers: what this one was given, and what the engine can give."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import Facts, Runtime
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside
from tests.unit.envcheck.rules.cases import LOST, NO_NVML, Rule, bare_container, runtime, without_cuda

NO_PTX = "OSError: libnvidia-ptxjitcompiler.so.1: cannot open shared object file"
REQUIRES = {"NVIDIA_REQUIRE_CUDA": "cuda>=12.8 brand=tesla,driver>=550,driver<551"}


def geforce_550() -> Facts:
    """A GeForce under a driver that the image's requirement takes only for data-center cards."""
    facts = gpu_host(driver="550.54.15")
    device = replace(facts.nvml.devices[0], brand=5)
    return change(facts, "nvml", devices=(device,), cuda_version=12040)


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
        inside(gpu_host(nvml=NO_NVML), "gpu", NVIDIA_DRIVER_CAPABILITIES="compute"),
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
    # ---- what the image requires
    ("none", "image-requirement", inside(gpu_host(), "gpu"), "skip", None),
    ("on a host", "image-requirement", replace(gpu_host(), environment=REQUIRES), "skip", None),
    ("no GPU is meant", "image-requirement", inside(cpu_host(), "cpu", **REQUIRES), "skip", None),
    ("met", "image-requirement", inside(gpu_host(), "gpu", **REQUIRES), "ok", None),
    ("not met, but it works", "image-requirement", inside(geforce_550(), "gpu", **REQUIRES), "ok", None),
    (
        "not met, and CUDA does not work",
        "image-requirement",
        inside(without_cuda(geforce_550(), 35), "gpu", **REQUIRES),
        "warn",
        "container-requirement-unsatisfied",
    ),
    (
        "switched off",
        "image-requirement",
        inside(geforce_550(), "gpu", NVIDIA_DISABLE_REQUIRE="1", **REQUIRES),
        "skip",
        None,
    ),
    (
        "not in the language",
        "image-requirement",
        inside(gpu_host(), "gpu", NVIDIA_REQUIRE_CUDA="cuda newest"),
        "skip",
        None,
    ),
    ("the driver is not told", "image-requirement", inside(gpu_host(nvml=NO_NVML), "gpu", **REQUIRES), "skip", None),
    ("loads", "ptx-compiler", inside(gpu_host(), "gpu"), "ok", None),
    ("on a host", "ptx-compiler", change(gpu_host(), "cuda", ptx_compiler_error=NO_PTX), "skip", None),
    (
        "not mounted",
        "ptx-compiler",
        inside(change(gpu_host(), "cuda", ptx_compiler_error=NO_PTX), "gpu"),
        "warn",
        "container-capabilities-missing",
    ),
    ("CUDA does not work", "ptx-compiler", inside(without_cuda(gpu_host(), 803), "gpu"), "skip", None),
    (
        "asked for by the launcher, hidden by a variable",
        "container-gpu",
        bare_container("gpu", NVIDIA_VISIBLE_DEVICES="void"),
        "fail",
        "container-no-gpu-runtime",
    ),
    (
        "not asked for, and nothing hides it",
        "container-gpu",
        bare_container(None, NVIDIA_VISIBLE_DEVICES="all"),
        "fail",
        "container-no-gpu-runtime",
    ),
    (
        "not asked for, hidden by an empty variable",
        "container-gpu",
        bare_container(None, NVIDIA_VISIBLE_DEVICES=""),
        "fail",
        "cuda-devices-masked",
    ),
    (
        "on a host",
        "container-capabilities",
        replace(gpu_host(), environment={"NVIDIA_DRIVER_CAPABILITIES": "utility"}),
        "skip",
        None,
    ),
    ("for the CPU", "container-capabilities", inside(cpu_host(), "cpu"), "skip", None),
    (
        "no compute, but libcuda came by other means",
        "container-capabilities",
        inside(gpu_host(), "gpu", NVIDIA_DRIVER_CAPABILITIES="utility"),
        "ok",
        None,
    ),
    (
        "neither, and only NVML is missing",
        "container-capabilities",
        inside(gpu_host(nvml=NO_NVML), "gpu", NVIDIA_DRIVER_CAPABILITIES="graphics"),
        "warn",
        "container-capabilities-missing",
    ),
    (
        "neither, and both are missing",
        "container-capabilities",
        inside(gpu_host(cuda=LOST, nvml=NO_NVML), "gpu", NVIDIA_DRIVER_CAPABILITIES="graphics"),
        "fail",
        "container-capabilities-missing",
    ),
    ("not asked for", "container-gpu", bare_container(None), "fail", "container-no-gpu-runtime"),
    ("--gpus by the hook alone", "container-runtime", runtime(nvidia_runtime=False, hook="/usr/bin/hook"), "ok", None),
    (
        "Podman alone, without CDI",
        "container-runtime",
        runtime(
            docker_client=None, engine_socket=None, podman="/usr/bin/podman", nvidia_runtime=False, hook="/usr/bin/hook"
        ),
        "warn",
        "container-cdi-unresolvable",
    ),
    (
        "Podman beside Docker",
        "container-runtime",
        runtime(docker_client=None, podman="/usr/bin/podman", nvidia_runtime=False),
        "warn",
        "container-unknown-runtime",
    ),
    ("inside a container", "container-runtime", inside(gpu_host(), "gpu"), "skip", None),
]
