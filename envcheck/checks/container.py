"""What the engine can give, and what this container was given."""

from __future__ import annotations

from envcheck.causes import cause
from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.checks.readings import cuda_works, start_with_gpu
from envcheck.facts import Facts, Runtime
from envcheck.finding import Finding
from envcheck.presence import presence, reached_container

NOTHING = ("", "void", "none")
CDI = ("sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",)


def container_runtime(facts: Facts) -> Finding:
    """What it checks: on a host with a card, that the engine can hand it to containers (runtime or CDI), by files only.
    Why it matters: without the NVIDIA Container Toolkit a container runs, but on the CPU.
    How to fix: install the toolkit and let `nvidia-ctk` configure the engine.
    Reference: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html
    """
    check, runtime = "container-runtime", facts.runtime
    if facts.container.inside:
        return skip(check, "inside a container: to be judged on the engine's host")
    engine = runtime.docker_client or runtime.engine_socket or runtime.podman
    if engine is None:
        return skip(check, "no container engine on this machine")
    if runtime.error:
        return warn(check, "docker-daemon-unreachable", "the engine's settings cannot be read", [runtime.error])
    if not presence(facts).expected:
        return skip(check, f"no GPU to pass on (engine: {engine})")
    if not runtime.toolkit and not runtime.cdi_specs:
        summary = "the NVIDIA Container Toolkit is not installed: containers cannot use the card"
        return warn(check, "container-no-gpu-runtime", summary, [f"engine: {engine}", "no nvidia-ctk", "no CDI spec"])
    if runtime.cdi_missing_paths:
        evidence = [*runtime.cdi_specs, *(f"missing: {path}" for path in runtime.cdi_missing_paths[:5])]
        return warn(check, "container-cdi-unresolvable", "a CDI specification names files that are gone", evidence)
    if runtime.nvidia_runtime or runtime.cdi_specs:
        how = "CDI " + ", ".join(runtime.cdi_devices[:4]) if runtime.cdi_specs else "runtime nvidia"
        return ok(check, f"containers can use the card ({how})", [f"engine: {engine}", *runtime.cdi_specs])
    return _not_configured(check, runtime)


def _not_configured(check: str, runtime: Runtime) -> Finding:
    evidence = [f"toolkit: {runtime.toolkit}", f"no runtime `nvidia` in {runtime.daemon_json or 'daemon.json'}"]
    if runtime.docker_client is None and runtime.engine_socket is None:
        # Podman knows no daemon.json.
        summary = "the NVIDIA Container Toolkit is installed, but there is no CDI specification for Podman"
        return warn(check, "container-cdi-unresolvable", summary, evidence[:1], CDI)
    if runtime.hook is not None:
        summary = "containers can use the card, with limits: by --gpus, but not by --runtime=nvidia"
        return ok(check, summary, [*evidence, f"hook: {runtime.hook}"])
    summary = "the NVIDIA Container Toolkit is installed, but the engine is not configured for it"
    return warn(check, "container-unknown-runtime", summary, evidence)


def container_gpu(facts: Facts) -> Finding:
    """What it checks: that a container meant to have a GPU was really given one.
    Why it matters: an engine may start the container without it, and the program runs on the CPU.
    How to fix: start the container with `--gpus all` or a CDI device, on a host whose toolkit is configured.
    Reference: https://docs.docker.com/engine/containers/resource_constraints/#gpu
    """
    check = "container-gpu"
    if not facts.container.inside:
        return skip(check, "not inside a container")
    expected = presence(facts)
    if not expected.expected:
        return skip(check, expected.reason)
    if reached_container(facts):
        return ok(check, "the container was given a GPU", facts.driver.device_nodes)
    evidence = [expected.reason, "no /dev/nvidia* in this container", facts.cuda.error or ""]
    visible = facts.environment.get("NVIDIA_VISIBLE_DEVICES")
    if visible is not None:
        evidence.append(f"NVIDIA_VISIBLE_DEVICES={visible}")
    return _not_given(check, facts, visible, evidence)


def _not_given(check: str, facts: Facts, visible: str | None, evidence: list[str]) -> Finding:
    identifier = "container-no-gpu-runtime"
    # An engine that is asked for GPUs sets the variable, or refuses to start.
    if facts.container.request is not None or (visible is not None and visible not in NOTHING):
        return fail(check, identifier, "this container should have a GPU, but the engine gave it none", evidence)
    summary = "the host has an NVIDIA card, but this container was started without it"
    if visible is not None:
        return fail(check, "cuda-devices-masked", summary, evidence, start_with_gpu(facts))
    return fail(check, identifier, summary, evidence, (*start_with_gpu(facts), *cause(identifier).fix))


def container_capabilities(facts: Facts) -> Finding:
    """What it checks: that NVIDIA_DRIVER_CAPABILITIES, where set, holds compute and utility.
    Why it matters: libcuda comes with compute, NVML and nvidia-smi with utility.
    How to fix: set NVIDIA_DRIVER_CAPABILITIES=compute,utility.
    Reference: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
    """
    check = "container-capabilities"
    if not facts.container.inside or not presence(facts).expected:
        return skip(check, "no GPU is expected in a container here")
    value = facts.environment.get("NVIDIA_DRIVER_CAPABILITIES", "")
    if not value or "all" in value.split(","):
        return ok(check, "driver capabilities: all that are needed", [f"NVIDIA_DRIVER_CAPABILITIES={value}"])
    missing = [name for name in ("compute", "utility") if name not in value.split(",")]
    if not missing:
        return ok(check, f"driver capabilities: {value}")
    summary = f"NVIDIA_DRIVER_CAPABILITIES lacks {' and '.join(missing)}"
    evidence = [f"NVIDIA_DRIVER_CAPABILITIES={value}"]
    # What is really missing decides: CDI and Apptainer bring every library, whatever the variable says.
    present = {"compute": facts.cuda.loaded, "utility": facts.nvml.loaded}
    absent = [name for name in missing if not present[name]]
    if not absent:
        return ok(check, f"the driver's libraries are here, although {summary}", evidence)
    return (fail if "compute" in absent else warn)(check, "container-capabilities-missing", summary, evidence)


def ptx_compiler(facts: Facts) -> Finding:
    """What it checks: in a container where CUDA works, that libnvidia-ptxjitcompiler.so.1 loads.
    Why it matters: code that comes as PTX is compiled by it; without it CUDA reports error 221.
    How to fix: start the container with NVIDIA_DRIVER_CAPABILITIES=compute,utility.
    Reference: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
    """
    check = "ptx-compiler"
    if not facts.container.inside:
        return skip(check, "not inside a container: on a host it is part of the driver")
    if not cuda_works(facts):
        return skip(check, "CUDA does not work here; see cuda-init")
    if facts.cuda.ptx_compiler_error is None:
        return ok(check, "the driver's PTX compiler loads")
    summary = "the driver's PTX compiler was not mounted into this container"
    return warn(check, "container-capabilities-missing", summary, [facts.cuda.ptx_compiler_error])
