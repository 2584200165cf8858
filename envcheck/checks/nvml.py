"""NVML by its return code."""

from __future__ import annotations

from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.checks.crashes import crash_lines
from envcheck.checks.readings import library_package
from envcheck.compat import has_open_module_only, nvml_error
from envcheck.facts import Facts, NvmlDevice
from envcheck.finding import Finding
from envcheck.presence import presence

CHECK = "nvml"
NO_PERMISSION = 4
NOT_STARTED = ("RmInitAdapter failed", "open kernel modules", "fallen off the bus")
CRASHED = ("sudo dmesg | grep -i nvrm | tail   # what the driver says", "sudo reboot")
REFERENCE = "https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html"


def nvml(facts: Facts) -> Finding:
    """What it checks: that NVML initialises and lists the GPUs.
    Why it matters: nvidia-smi, the container toolkit and NCCL stand on it; its code tells what is wrong.
    How to fix: as the cause of that code says.
    Reference: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html
    """
    seen = facts.nvml
    if not presence(facts).expected:
        return skip(CHECK, "no GPU is expected here")
    works = bool(facts.cuda.device_count)
    # NCCL and nvidia-smi are broken then, yet CUDA runs: a limit, not a failure.
    judge = warn if works else fail
    if seen.crash is not None:
        return judge(CHECK, None, "NVML crashed or did not answer", crash_lines(seen.crash), CRASHED, REFERENCE)
    if not seen.loaded:
        if not works:
            return skip(CHECK, "libnvidia-ml.so.1 does not load; see driver-library")
        inside = facts.container.inside
        cause = "container-capabilities-missing" if inside else "driver-missing"
        fix = None if inside else library_package(facts, "libnvidia-ml1")
        return warn(CHECK, cause, "CUDA works, but libnvidia-ml.so.1 is missing", [seen.error or ""], fix)
    if seen.init_code == 18:
        return skip(CHECK, "the libraries do not fit the kernel module; see driver-library")
    if seen.init_code:
        fix = refused(facts) if seen.init_code == NO_PERMISSION else None
        return judge(CHECK, _cause(seen.init_code, facts), *_text(seen.init_code, facts), fix)
    # A card that belongs to somebody else, as where a scheduler hands them out, is none of this program's.
    codes = [code for code in seen.device_codes if code != NO_PERMISSION or not works]
    if codes:
        code = codes[0]
        evidence = [f"nvmlDeviceGetHandleByIndex returned {code}", *_list(facts)]
        fix = refused(facts) if code == NO_PERMISSION else None
        return fail(CHECK, _cause(code, facts), f"a GPU answers NVML with {nvml_error(code).name}", evidence, fix)
    if not seen.devices:
        return judge(CHECK, *no_devices(facts))
    missing = _undriven(facts)
    if missing is not None:
        return missing
    return ok(CHECK, f"NVML lists {len(seen.devices)} GPU{'s' if len(seen.devices) != 1 else ''}", _list(facts))


def _undriven(facts: Facts) -> Finding | None:
    """A card that the kernel bound to the driver and the driver could not start, beside others that work.

    By the kernel's log: where a scheduler hands out cards, NVML lists fewer than there are, and nothing is wrong.
    """
    bound = [card for card in facts.hardware.cards if card.driver == "nvidia"]
    told = [line for line in facts.kernel_log.driver_lines if any(words in line for words in NOT_STARTED)]
    listed = len(facts.nvml.devices)
    if facts.container.inside or len(bound) <= listed or not told:
        return None
    identifier, _, seen = no_devices(facts)
    summary = f"the driver drives {listed} of {len(bound)} NVIDIA cards"
    return warn(CHECK, identifier, summary, [*seen, *_list(facts)])


def refused(facts: Facts) -> tuple[str, ...]:
    """What to do where the driver may not be used: in a container it is SELinux as a rule, else the device nodes."""
    if facts.container.inside:
        return ("docker run --security-opt=label=disable ...   # SELinux keeps the container from the device nodes",)
    return ("ls -l /dev/nvidia*   # this user must be able to read and write them",)


def _text(code: int, facts: Facts) -> tuple[str, list[str]]:
    error = nvml_error(code)
    evidence = [f"nvmlInit returned {code} ({error.name})", f"library: {facts.nvml.path}"]
    if facts.driver.device_nodes:
        evidence.append(f"device nodes: {', '.join(facts.driver.device_nodes)}")
    return f"NVML error {code}: {error.name.removeprefix('NVML_ERROR_').replace('_', ' ').lower()}", evidence


def _cause(code: int, facts: Facts) -> str | None:
    if code == 999 and facts.container.inside:
        return "container-lost-gpu"
    if code in (4, 999):
        return "cuda-unknown-init"
    return nvml_error(code).cause


def no_devices(facts: Facts) -> tuple[str, str, list[str]]:
    """Cause, summary and evidence where NVML initialises but lists no GPU."""
    cards = [f"PCI {card.address}: NVIDIA {card.device}" for card in facts.hardware.cards]
    if facts.container.inside:
        return "container-no-gpu-runtime", "NVML works, but lists no GPU in this container", cards
    lines = facts.kernel_log.driver_lines
    known = any(has_open_module_only(card.device) for card in facts.hardware.cards)
    if any("open kernel modules" in line for line in lines) or (facts.driver.open_module is False and known):
        return "driver-open-module-required", "the closed kernel module does not drive this card", [*cards, *lines[-3:]]
    return "gpu-fallen-off-bus", "the driver is loaded, but it drives no GPU", [*cards, *lines[-3:]]


def _list(facts: Facts) -> list[str]:
    return [f"GPU {device.index}: {device.name}, {_gibibytes(device)}, {device.uuid}" for device in facts.nvml.devices]


def _gibibytes(device: NvmlDevice) -> str:
    return f"{device.memory_total / 2**30:.0f} GiB" if device.memory_total else "memory unknown"
