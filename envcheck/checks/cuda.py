"""CUDA initialisation by number, and where libcuda came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from envcheck.causes import cause
from envcheck.checks.answer import fail, ok, skip
from envcheck.checks.crashes import crash_lines
from envcheck.checks.driver import WSL_LIBRARIES
from envcheck.checks.gpu_fabric import gpu_fabric
from envcheck.checks.gpu_memory import gpu_memory
from envcheck.checks.gpu_modes import compute_mode, mig
from envcheck.checks.kernel_log import kernel_log
from envcheck.checks.library_path import lying_in_it, without
from envcheck.checks.nvml import NO_PERMISSION, no_devices, refused
from envcheck.compat import cuda_error, nvml_error
from envcheck.facts import Crash, Facts
from envcheck.finding import Finding, Status
from envcheck.presence import presence

CHECK = "cuda-init"
WRONG_LIBRARY = (34, 803, 804)
VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "CUDA_MPS_PIPE_DIRECTORY",
    "PYTORCH_NVML_BASED_CUDA_CHECK",  # with it PyTorch asks NVML only, and says that CUDA is available where it is not
)
# Numbers that say only that nothing can be used; where NVML names the reason, its code is the better witness.
UNSPECIFIC = (3, 100, 101, 304, 999)
NVML_TELLS = (NO_PERMISSION, 15, 16, 17)  # nvmlReturn_t; lost, reset required, blocked by the operating system
# Where the number leaves open why, what these find wrong with a card is the reason.
EXPLAINED_BY: dict[int, tuple[Callable[[Facts], Finding], ...]] = {
    3: (kernel_log,),
    46: (compute_mode, kernel_log),
    100: (kernel_log, mig, compute_mode),
    101: (mig,),
    214: (kernel_log, gpu_memory),
    802: (gpu_fabric,),
    304: (kernel_log,),
    999: (kernel_log,),
}
BY_THE_WAY = (kernel_log, compute_mode)
UNFIT, MPS = 803, 805
MASK = "CUDA_VISIBLE_DEVICES"
# Where packages put the driver's own libraries: never to be taken out of a search path.
DRIVER_PLACES = {
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/lib/wsl/lib",
    "/usr/local/nvidia/lib64",
}
EVERY_NODE = "docker run --gpus all ...   # passes every device node, /dev/nvidia-uvm too"
# https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/: KASLR can take the addresses that HMM asks for
HMM = "request_free_mem_region"
WITHOUT_HMM = "echo options nvidia_uvm uvm_disable_hmm=1 | sudo tee /etc/modprobe.d/nvidia-uvm.conf && sudo reboot"


def cuda_init(facts: Facts) -> Finding:
    """What it checks: the number that libcuda's cuInit and cuDeviceGetCount return, in a child process.
    Why it matters: the number tells the cause; "CUDA is not available" does not.
    How to fix: as the cause of that number says.
    Reference: https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html
    """
    cuda = facts.cuda
    if not presence(facts).expected:
        return skip(CHECK, "no GPU is expected here")
    if cuda.crash is not None:
        return _crashed(cuda.crash, facts)
    if not cuda.loaded:
        return skip(CHECK, "libcuda.so.1 does not load; see driver-library")
    code = cuda.init_code or cuda.count_code or 0
    if code == 0 and not cuda.device_count:
        code = 100
    if code:
        return _by_number(code, facts)
    names = [f"GPU {device.index}: {device.name}, compute capability {device.capability}" for device in cuda.devices]
    count = f"{cuda.device_count} GPU{'s' if cuda.device_count != 1 else ''}"
    return ok(CHECK, f"CUDA initialises and sees {count}", [*names, *_where(facts)])


def _where(facts: Facts) -> list[str]:
    lines = [f"libcuda: {facts.cuda.path}"] if facts.cuda.path else []
    if facts.driver.module_version:
        lines.append(f"loaded kernel module: {facts.driver.module_version}")
    return lines


def _by_number(code: int, facts: Facts) -> Finding:
    error = cuda_error(code)
    evidence = [f"cuInit returned {code} ({error.name}): {error.text}", *_where(facts), *_variables(facts)]
    evidence += facts.kernel_log.driver_lines[-3:]
    told = _told_by_nvml(code, facts, evidence) if code in UNSPECIFIC else None
    if told is not None:
        return told
    explained = _explained(code, facts, evidence)
    if explained is not None:
        return explained
    if code in (100, 101):
        return _no_device(code, facts, evidence)
    if code in (304, 999) and facts.container.inside and facts.nvml.init_code == 999:
        evidence.append("NVML returns 999 too, as after a reload of the daemon or of systemd on the host")
        return fail(CHECK, "container-lost-gpu", "this container lost its GPU", evidence)
    if code == 999 and not facts.driver.uvm_loaded and "/dev/nvidia-uvm" not in facts.driver.device_nodes:
        evidence.append("nvidia-uvm: module not loaded, /dev/nvidia-uvm missing")
    summary = f"CUDA error {code}: {error.text or 'a number this table does not know'}"
    identifier = error.cause or "cuda-unknown-init"
    return fail(CHECK, identifier, summary, evidence, _fix(code, identifier, facts))


def _fix(code: int, identifier: str, facts: Facts) -> tuple[str, ...]:
    """The catalogue's steps, beginning with the one for this machine."""
    steps = cause(identifier).fix
    if any(HMM in line for line in facts.kernel_log.driver_lines):
        return (WITHOUT_HMM, *steps)
    if code in WRONG_LIBRARY:
        return _without_library(code, steps, facts)
    if code == MPS:
        return (steps[-1], *steps[:-1])
    if code in (3, 304, 999) and facts.container.inside and "/dev/nvidia-uvm" not in facts.driver.device_nodes:
        return (EVERY_NODE, *steps[:-1])
    return steps


def _without_library(code: int, steps: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
    """How to be rid of the libcuda that was loaded, by where it came from."""
    on_path = lying_in_it(facts, "libcuda.so")[:1]
    places = {str(PurePath(path).parent) for path in (*on_path, facts.cuda.path or "") if path} - DRIVER_PLACES
    command = without(facts, places)
    if command:
        return (*command, *steps[1:])
    if {"compat", "stubs"} & set(PurePath(facts.cuda.path or "").parts) or code != UNFIT:
        return steps[1:]
    # From a place of the driver itself: a half-done upgrade, or a library baked into an image.
    baked = (f"rm {facts.cuda.path}   # and from the image: the driver's libraries come from the host",)
    first = baked if facts.container.inside and facts.cuda.path else steps[2:3]
    return (*first, *(step for step in steps[1:] if step not in first))


def _explained(code: int, facts: Facts, evidence: list[str]) -> Finding | None:
    # A mask that hides every card is nearer at hand than what another card once did.
    masked = MASK in facts.environment and bool(facts.nvml.devices)
    for judge in EXPLAINED_BY.get(code, ()):
        if judge in BY_THE_WAY and code == 100 and masked:
            continue
        found = judge(facts)
        if found.status is Status.FAIL:
            evidence += found.evidence
            return fail(CHECK, found.cause, f"{found.summary} (CUDA error {code})", evidence, found.fix)
        if found.status is Status.WARN:
            evidence += found.evidence[:3]
    return None


def _told_by_nvml(code: int, facts: Facts, evidence: list[str]) -> Finding | None:
    # Beside cards that are listed, one that is refused is only somebody else's.
    others = [number for number in facts.nvml.device_codes if number != NO_PERMISSION or not facts.nvml.devices]
    codes = (facts.nvml.init_code, *others)
    told = next((number for number in codes if number in NVML_TELLS), None)
    if told is None:
        return None
    number = nvml_error(told)
    evidence.append(f"NVML returned {told} ({number.name})")
    if told == NO_PERMISSION:
        summary = f"the driver refuses this {'container' if facts.container.inside else 'user'} (CUDA error {code})"
        return fail(CHECK, "cuda-unknown-init", summary, evidence, refused(facts))
    return fail(CHECK, number.cause, f"CUDA error {code}: {cuda_error(code).text}", evidence)


def _no_device(code: int, facts: Facts, evidence: list[str]) -> Finding:
    request = facts.container.request
    if request is not None and request.device == "cpu" and not facts.driver.device_nodes:
        return skip(CHECK, "this container was started for the CPU; libcuda sees no device, as it should")
    if facts.nvml.init_code == 999:
        evidence.append("nvmlInit returned 999 (NVML_ERROR_UNKNOWN)")
        if facts.container.inside:
            return fail(CHECK, "container-lost-gpu", "this container lost its GPU", evidence)
        if MASK not in facts.environment:
            return fail(CHECK, "cuda-unknown-init", "CUDA sees no GPU, NVML an unknown error", evidence)
    if facts.driver.module_version is None and facts.nvml.init_code != 0 and not facts.driver.wsl:
        return _no_module(facts, [*evidence, "/sys/module/nvidia does not exist"])
    if facts.nvml.init_code == 0 and not facts.nvml.devices:
        identifier, summary, seen = no_devices(facts)
        return fail(CHECK, identifier, summary, [*evidence, *seen])
    summary = "CUDA sees no GPU" if code == 100 else "CUDA was asked for a GPU that is not there"
    if MASK in facts.environment and not _names_a_card(facts):
        return fail(CHECK, "cuda-devices-masked", f"{summary}: {MASK}={facts.environment[MASK]!r}", evidence)
    fix = (*refused(facts), *cause("cuda-devices-masked").fix[1:])
    return fail(CHECK, "cuda-devices-masked", summary, evidence, fix if code == 100 else None)


def _names_a_card(facts: Facts) -> bool:
    """Whether the mask begins with a card that NVML lists: then it is not what hides every card."""
    first = facts.environment[MASK].split(",")[0].strip()
    if first.isdecimal():
        return int(first) < len(facts.nvml.devices)
    return bool(first) and any(device.uuid.startswith(first) for device in facts.nvml.devices)


def _no_module(facts: Facts, evidence: list[str]) -> Finding:
    summary, fix = "libcuda finds no device: no kernel module is loaded", None
    if not facts.hardware.cards and not facts.container.inside:
        evidence.append("no NVIDIA card is on the PCI bus")
        fix = ("lspci -d 10de:   # is there a card at all?", *cause("driver-not-loaded").fix)
    return fail(CHECK, "driver-not-loaded", summary, evidence, fix)


def _variables(facts: Facts) -> list[str]:
    return [f"{name}={facts.environment[name]}" for name in VARIABLES if name in facts.environment]


def _crashed(crash: Crash, facts: Facts) -> Finding:
    how = "did not answer in time" if crash.timed_out else f"ended with {crash.signal or crash.returncode}"
    evidence = [*crash_lines(crash), *_where(facts), *_variables(facts), *facts.kernel_log.driver_lines[-3:]]
    return fail(CHECK, "cuda-unknown-init", f"libcuda {how}", evidence)


def library_origin(facts: Facts) -> Finding:
    """What it checks: that PyTorch loads the same libcuda as every other program.
    Why it matters: one of torch's libraries searches the working directory, so a stray libcuda.so.1 there is loaded.
    How to fix: run from another directory, or delete the file.
    Reference: https://man7.org/linux/man-pages/man8/ld.so.8.html
    """
    check = "library-origin"
    if facts.torch is None or facts.torch.libcuda is None:
        return skip(check, "PyTorch has loaded no libcuda by itself")
    both = (facts.torch.libcuda, facts.cuda.path or "")
    # There libcuda is a small library that loads the one of Windows's driver when it initialises.
    if facts.torch.libcuda == facts.cuda.path or all(path.startswith(WSL_LIBRARIES) for path in both):
        return ok(check, "PyTorch and the driver use one libcuda", [facts.torch.libcuda])
    evidence = [f"PyTorch: {facts.torch.libcuda}", f"every other program: {facts.cuda.path or 'none'}"]
    return fail(check, "library-shadowed", "PyTorch loads a libcuda that is not the driver's", evidence)
