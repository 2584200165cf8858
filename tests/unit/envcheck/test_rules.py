"""Every rule at least once where it must speak and once where it must not. All machines are invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from envcheck.checks import BY_ID
from envcheck.checks.architectures import supports
from envcheck.facts import AllReduce, Card, Crash, Cuda, CudaDevice, Facts, Hardware, Memory, Nvml, Runtime
from tests.unit.envcheck.machines import NODES, change, cpu_host, gpu_host, inside, torch

LOST = Cuda(error="libcuda.so.1: cannot open shared object file")
NO_NVML = Nvml(error="libnvidia-ml.so.1: cannot open shared object file")


def unloaded(**driver: object) -> Facts:
    """A card on the bus and nothing that drives it."""
    card = Card("0000:01:00.0", "0x2684", "0x030000", None)
    bare = gpu_host(hardware=Hardware(True, (card,), ("a card",)), cuda=LOST, nvml=NO_NVML)
    return change(
        bare,
        "driver",
        module_version=None,
        open_module=None,
        device_nodes=(),
        uvm_loaded=False,
        **{"module_installed": False, **driver},
    )


def nouveau() -> Facts:
    card = Card("0000:01:00.0", "0x2684", "0x030000", "nouveau")
    return replace(unloaded(nouveau_loaded=True), hardware=Hardware(True, (card,), ("a card",)))


def given_away() -> Facts:
    card = Card("0000:01:00.0", "0x2684", "0x030000", "vfio-pci")
    return cpu_host(hardware=Hardware(False, (card,)))


def bare_container(device: str | None = "gpu", **environment: str) -> Facts:
    """The host's card shows on the bus, nothing of it was passed in."""
    facts = gpu_host(cuda=LOST, nvml=NO_NVML)
    return inside(change(facts, "driver", device_nodes=()), device, **environment)


def cuda(code: int, **changes: object) -> Facts:
    return change(gpu_host(), "cuda", init_code=code, count_code=None, device_count=None, devices=(), **changes)


def nvml(code: int, facts: Facts | None = None) -> Facts:
    return change(facts or cuda(100), "nvml", init_code=code, driver_version=None, devices=())


def with_torch(**changes: object) -> Facts:
    return gpu_host(torch=torch(**changes))


def crashed(stage: str, stderr: str = "", **changes: object) -> Facts:
    return with_torch(crashes=(Crash(stage, "SIGABRT", False, -6, stderr),), **changes)


def vision(**changes: object) -> Facts:
    healthy = torch().torchvision
    assert healthy is not None
    return with_torch(torchvision=replace(healthy, **changes))  # type: ignore[arg-type]


def shm(size: int) -> Facts:
    return gpu_host(memory=Memory(size, size))


def runtime(**changes: object) -> Facts:
    return change(gpu_host(), "runtime", **changes)


def health(**changes: object) -> Facts:
    facts = gpu_host()
    return change(facts, "nvml", devices=(replace(facts.nvml.devices[0], **changes),))  # type: ignore[arg-type]


RULES: list[tuple[str, str, Facts, str, str | None]] = [
    ("card", "nvidia-hardware", gpu_host(), "ok", None),
    ("no card", "nvidia-hardware", cpu_host(), "skip", None),
    ("card given to a virtual machine", "nvidia-hardware", given_away(), "skip", None),
    # ---- kernel module
    ("loaded", "driver-module", gpu_host(), "ok", None),
    ("no card", "driver-module", cpu_host(), "skip", None),
    ("no driver", "driver-module", unloaded(), "fail", "driver-missing"),
    ("installed, not loaded", "driver-module", unloaded(module_installed=True), "fail", "driver-not-loaded"),
    (
        "libraries, no module",
        "driver-module",
        replace(unloaded(), nvml=Nvml(True, init_code=9)),
        "fail",
        "driver-not-loaded",
    ),
    ("nouveau", "driver-module", nouveau(), "fail", "driver-nouveau"),
    ("given away", "driver-module", given_away(), "skip", None),
    ("WSL", "driver-module", unloaded(wsl=True), "skip", None),
    (
        "hidden, but cuInit reached it",
        "driver-module",
        replace(unloaded(), cuda=Cuda(True, init_code=803)),
        "skip",
        None,
    ),
    (
        "cuInit reached nothing",
        "driver-module",
        replace(unloaded(), cuda=Cuda(True, init_code=100)),
        "fail",
        "driver-not-loaded",
    ),
    # ---- libraries
    ("fit", "driver-library", gpu_host(), "ok", None),
    ("NVML 18", "driver-library", nvml(18), "fail", "driver-library-mismatch"),
    ("libcuda missing on a host", "driver-library", gpu_host(cuda=LOST), "fail", "driver-missing"),
    ("libcuda missing under WSL", "driver-library", replace(unloaded(wsl=True)), "fail", "wsl-driver-libs-missing"),
    ("no driver at all", "driver-library", unloaded(), "skip", None),
    (
        "nodes without libraries",
        "driver-library",
        inside(gpu_host(cuda=LOST), "gpu"),
        "fail",
        "container-driver-libs-missing",
    ),
    (
        "utility only",
        "driver-library",
        inside(gpu_host(cuda=LOST), "gpu", NVIDIA_DRIVER_CAPABILITIES="utility"),
        "fail",
        "container-capabilities-missing",
    ),
    ("container without anything", "driver-library", bare_container(), "skip", None),
    # ---- driver floor
    ("525.60.12", "driver-floor", gpu_host(driver="525.60.12"), "fail", "driver-too-old"),
    ("525.60.13", "driver-floor", gpu_host(driver="525.60.13"), "ok", None),
    ("570.25 on Blackwell", "driver-floor", gpu_host(driver="570.25", capability="12.0"), "fail", "driver-too-old"),
    ("570.26 on Blackwell", "driver-floor", gpu_host(driver="570.26", capability="12.0"), "ok", None),
    ("570.25 on Ada", "driver-floor", gpu_host(driver="570.25"), "ok", None),
    ("a future driver", "driver-floor", gpu_host(driver="999.10"), "ok", None),
    ("a future CUDA", "driver-floor", gpu_host(torch=torch(cuda="14.0")), "ok", None),
    ("CUDA 11 wheel", "driver-floor", gpu_host(driver="470.82.01", torch=torch(cuda="11.8", cudnn=90100)), "ok", None),
    ("no wheel, old driver", "driver-floor", gpu_host(driver="470.82.01", torch=None), "fail", "driver-too-old"),
    (
        "compat library on an old driver",
        "driver-floor",
        change(gpu_host(driver="470.82.01"), "cuda", path="/usr/local/cuda-12.8/compat/libcuda.so.570.26"),
        "ok",
        None,
    ),
    ("WSL by CUDA version", "driver-floor", change(gpu_host(), "driver", wsl=True, module_version=None), "ok", None),
    (
        "WSL with an old Windows driver",
        "driver-floor",
        change(change(gpu_host(), "driver", wsl=True, module_version=None), "cuda", driver_version=11080),
        "fail",
        "driver-too-old",
    ),
    ("CPU wheel", "driver-floor", with_torch(cuda=None), "skip", None),
    # ---- container
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
    # ---- CUDA by number
    ("works", "cuda-init", gpu_host(), "ok", None),
    ("3", "cuda-init", cuda(3), "fail", "cuda-unknown-init"),
    ("34", "cuda-init", cuda(34), "fail", "cuda-stub-library"),
    ("35", "cuda-init", cuda(35), "fail", "driver-too-old"),
    ("46", "cuda-init", cuda(46), "fail", "cuda-device-busy"),
    ("100", "cuda-init", cuda(100), "fail", "cuda-devices-masked"),
    ("101", "cuda-init", cuda(101), "fail", "cuda-devices-masked"),
    ("no error, no device", "cuda-init", change(gpu_host(), "cuda", device_count=0), "fail", "cuda-devices-masked"),
    (
        "100 without a module",
        "cuda-init",
        nvml(9, change(cuda(100), "driver", module_version=None)),
        "fail",
        "driver-not-loaded",
    ),
    (
        "100 in a container for the CPU",
        "cuda-init",
        inside(change(cuda(100), "driver", device_nodes=()), "cpu"),
        "skip",
        None,
    ),
    ("214", "cuda-init", cuda(214), "fail", "gpu-memory-ecc"),
    ("802", "cuda-init", cuda(802), "fail", "cuda-fabric-manager"),
    ("803", "cuda-init", cuda(803), "fail", "cuda-compat-mismatch"),
    ("804", "cuda-init", cuda(804), "fail", "cuda-forward-compat-unsupported"),
    ("805", "cuda-init", cuda(805), "fail", "cuda-device-busy"),
    ("999", "cuda-init", cuda(999), "fail", "cuda-unknown-init"),
    ("999 and NVML 999 in a container", "cuda-init", inside(nvml(999, cuda(999)), "gpu"), "fail", "container-lost-gpu"),
    ("a number nobody knows", "cuda-init", cuda(4711), "fail", "cuda-unknown-init"),
    ("hangs", "cuda-init", gpu_host(cuda=Cuda(True, crash=Crash("init", timed_out=True))), "fail", "cuda-unknown-init"),
    ("no card", "cuda-init", cpu_host(), "skip", None),
    ("same libcuda", "library-origin", with_torch(libcuda=gpu_host().cuda.path), "ok", None),
    (
        "libcuda of the working directory",
        "library-origin",
        with_torch(libcuda="/w/libcuda.so.1"),
        "fail",
        "library-shadowed",
    ),
    # ---- NVML by code
    ("lists", "nvml", gpu_host(), "ok", None),
    ("9", "nvml", nvml(9), "fail", "driver-not-loaded"),
    ("15", "nvml", nvml(15), "fail", "gpu-fallen-off-bus"),
    ("17", "nvml", nvml(17), "fail", "wsl-driver-libs-missing"),
    ("18 is driver-library's", "nvml", nvml(18), "skip", None),
    ("999 on a host", "nvml", nvml(999), "fail", "cuda-unknown-init"),
    ("999 in a container", "nvml", inside(nvml(999), "gpu"), "fail", "container-lost-gpu"),
    ("broken, but CUDA works", "nvml", nvml(999, gpu_host()), "warn", "cuda-unknown-init"),
    ("missing, but CUDA works", "nvml", gpu_host(nvml=NO_NVML), "warn", "driver-missing"),
    ("one GPU lost", "nvml", change(gpu_host(), "nvml", device_codes=(15,)), "fail", "gpu-fallen-off-bus"),
    ("no card", "nvml", cpu_host(), "skip", None),
    ("well", "gpu-health", gpu_host(), "ok", None),
    ("prohibited", "gpu-health", health(compute_mode=2), "fail", "cuda-device-busy"),
    ("exclusive is allowed", "gpu-health", health(compute_mode=3), "ok", None),
    ("remap failed", "gpu-health", health(remap_failure=True), "fail", "gpu-memory-ecc"),
    ("remap pending", "gpu-health", health(remap_pending=True), "warn", "gpu-memory-ecc"),
    ("uncorrected errors", "gpu-health", health(ecc_uncorrected=2), "warn", "gpu-memory-ecc"),
    # ---- PyTorch
    ("CUDA build", "torch-build", gpu_host(), "ok", None),
    ("CPU build with a card", "torch-build", with_torch(cuda=None, version="2.8.0+cpu"), "fail", "torch-cpu-only"),
    ("CPU build without a card", "torch-build", cpu_host(torch=torch(cuda=None)), "ok", None),
    ("not installed", "torch-build", with_torch(found=False, version=None), "skip", None),
    (
        "import crashes over cuDNN",
        "torch-build",
        crashed("import", "libcudnn_graph.so.9: undefined symbol", version=None),
        "fail",
        "cudnn-shadowed",
    ),
    (
        "import misses a symbol, path set",
        "torch-build",
        replace(
            with_torch(version=None, error="ImportError: undefined symbol: x"), environment={"LD_LIBRARY_PATH": "/c"}
        ),
        "fail",
        "library-shadowed",
    ),
    ("import fails for another reason", "torch-build", with_torch(version=None, error="SyntaxError: x"), "fail", None),
    ("sees the GPU", "torch-cuda", gpu_host(), "ok", None),
    (
        "does not see it",
        "torch-cuda",
        with_torch(cuda_available=False, cuda_warning="Error 804: forward compatibility"),
        "fail",
        "cuda-forward-compat-unsupported",
    ),
    (
        "driver too old for it",
        "torch-cuda",
        with_torch(
            cuda_available=False, cuda_warning="The NVIDIA driver on your system is too old (found version 11080)"
        ),
        "fail",
        "driver-too-old",
    ),
    ("CUDA itself is broken", "torch-cuda", cuda(803), "skip", None),
    ("compiler", "torch-compile", gpu_host(), "ok", None),
    ("no compiler", "torch-compile", with_torch(c_compiler=None), "warn", "compiler-missing"),
    ("no C++ compiler", "torch-compile", with_torch(cxx_compiler=None), "warn", "compiler-missing"),
    ("no headers", "torch-compile", with_torch(python_header=None), "warn", "compiler-missing"),
    ("pair", "torchvision-pair", gpu_host(), "ok", None),
    ("another torch", "torchvision-pair", vision(requires_torch="2.7.1"), "fail", "torchvision-mismatch"),
    ("another CUDA", "torchvision-pair", vision(cuda_version=11080), "fail", "torchvision-mismatch"),
    ("CPU torchvision", "torchvision-pair", vision(cuda_version=-1), "fail", "torchvision-mismatch"),
    ("another CUDA minor version", "torchvision-pair", vision(cuda_version=12060), "ok", None),
    ("not installed", "torchvision-pair", with_torch(torchvision=None), "skip", None),
    ("nms runs", "torchvision-nms", gpu_host(), "ok", None),
    ("no operator", "torchvision-nms", vision(nms=None, error="OSError: _C.so"), "fail", "torchvision-mismatch"),
    ("wrong boxes", "torchvision-nms", vision(nms=(0, 1, 2)), "fail", "torchvision-mismatch"),
    ("crash", "torchvision-nms", crashed("torchvision", torchvision=None), "fail", "torchvision-mismatch"),
    ("8.9 by 8.6", "torch-architectures", gpu_host(), "ok", None),
    ("6.0", "torch-architectures", gpu_host(capability="6.0"), "fail", "arch-unsupported"),
    ("11.0", "torch-architectures", gpu_host(capability="11.0"), "fail", "arch-unsupported"),
    ("12.1 by 12.0", "torch-architectures", gpu_host(capability="12.1"), "ok", None),
    (
        "13.0 by PTX",
        "torch-architectures",
        gpu_host(capability="13.0", torch=torch(architectures=("sm_90", "compute_120"))),
        "ok",
        None,
    ),
    ("no card", "torch-architectures", cpu_host(), "skip", None),
    (
        "by the image",
        "torch-architectures",
        inside(gpu_host(capability="6.1", torch=None), "gpu"),
        "fail",
        "arch-unsupported",
    ),
    ("by the image, new enough", "torch-architectures", inside(gpu_host(torch=None), "gpu"), "ok", None),
    # ---- cuDNN, NCCL, memory
    ("loads", "cudnn", gpu_host(), "ok", None),
    ("aborts", "cudnn", crashed("cudnn", cudnn=None), "fail", "cudnn-shadowed"),
    ("raises", "cudnn", with_torch(cudnn=None, cudnn_error="RuntimeError: cuDNN version"), "fail", "cudnn-shadowed"),
    (
        "mixed",
        "cudnn",
        with_torch(cudnn_libraries=(*torch().cudnn_libraries, "/usr/lib/libcudnn_ops.so.9")),
        "warn",
        "cudnn-shadowed",
    ),
    ("a system build", "cudnn", with_torch(cudnn_libraries=("/usr/lib/libcudnn.so.9",)), "ok", None),
    ("CPU build", "cudnn", with_torch(cuda=None, cudnn=None), "skip", None),
    ("version", "nccl-version", gpu_host(), "ok", None),
    ("crash", "nccl-version", crashed("nccl"), "fail", "library-shadowed"),
    ("CPU build", "nccl-version", with_torch(cuda=None, nccl=None), "skip", None),
    ("right sums", "all-reduce", gpu_host(), "ok", None),
    ("wrong sum", "all-reduce", with_torch(all_reduces=(AllReduce("nccl", 2, 2.0, 3.0, 0.1),)), "fail", None),
    (
        "no interface",
        "all-reduce",
        with_torch(all_reduces=(AllReduce("nccl", 2, error="Bootstrap : no socket interface found"),)),
        "fail",
        "nccl-network-interface",
    ),
    (
        "shared memory full",
        "all-reduce",
        with_torch(
            all_reduces=(AllReduce("nccl", 2, error="Error while creating shared memory segment /dev/shm/nccl-x"),)
        ),
        "fail",
        "shm-too-small",
    ),
    (
        "timeout",
        "all-reduce",
        with_torch(all_reduces=(AllReduce("gloo", 2, error="Timed out waiting 20000ms"),)),
        "fail",
        "nccl-timeout",
    ),
    ("not run", "all-reduce", with_torch(all_reduces=()), "skip", None),
    ("1 GiB", "shared-memory", shm(1 << 30), "ok", None),
    ("a byte less", "shared-memory", shm((1 << 30) - 1), "warn", "shm-too-small"),
    ("Docker's 64 MiB", "shared-memory", shm(64 << 20), "warn", "shm-too-small"),
    ("unknown", "shared-memory", gpu_host(memory=Memory(error="no such directory")), "skip", None),
]


@pytest.mark.parametrize(
    ("check", "facts", "status", "cause"),
    [pytest.param(*rule[1:], id=f"{rule[1]}: {rule[0]}") for rule in RULES],
)
def test_rule(check: str, facts: Facts, status: str, cause: str | None) -> None:
    finding = BY_ID[check].judge(facts)
    assert (finding.check, finding.status.value, finding.cause) == (check, status, cause), finding
    if cause is not None:
        assert finding.fix and finding.evidence and finding.reference


def test_every_check_has_a_rule_that_speaks_and_one_that_does_not() -> None:
    quiet = {"nvidia-hardware"}  # describes; it has nothing to fail at
    for check in BY_ID:
        statuses = {status for _, name, _, status, _ in RULES if name == check}
        assert statuses & {"ok", "skip"}, check
        assert check in quiet or statuses & {"fail", "warn"}, check


@pytest.mark.parametrize("code", [34, 803, 804])
def test_a_wrong_libcuda_from_the_library_path_is_fixed_by_the_exact_command(code: int) -> None:
    path = "/usr/local/cuda/compat/libcuda.so.570.26"
    only = replace(cuda(code, path=path), environment={"LD_LIBRARY_PATH": "/usr/local/cuda/compat/"})
    among = replace(cuda(code, path=path), environment={"LD_LIBRARY_PATH": "/a:/usr/local/cuda/compat:/b"})
    elsewhere = replace(cuda(code, path=path), environment={"LD_LIBRARY_PATH": "/a"})
    judge: Callable[[Facts], object] = lambda facts: BY_ID["cuda-init"].judge(facts).fix[0]  # noqa: E731
    assert judge(only) == "unset LD_LIBRARY_PATH"
    assert judge(among) == "export LD_LIBRARY_PATH=/a:/b"
    assert "LD_LIBRARY_PATH=" not in str(judge(elsewhere))


@pytest.mark.parametrize(
    ("flags", "capability", "runs"),
    [
        (("sm_86",), "8.0", False),
        (("sm_80",), "8.6", True),
        (("sm_80",), "9.0", False),
        (("sm_90a",), "9.0", True),
        (("sm_100a",), "10.3", False),
        (("sm_100f",), "10.3", True),
        (("compute_90",), "12.0", True),
        (("compute_90",), "8.9", False),
        (("7.0", "12.0"), "12.1", True),
        (("sm_101",), "10.1", True),
        (("nonsense",), "9.0", False),
    ],
)
def test_binary_compatibility_of_architectures(flags: tuple[str, ...], capability: str, runs: bool) -> None:
    assert supports(flags, capability) is runs


def test_evidence_of_a_masked_device_names_the_mask() -> None:
    finding = BY_ID["cuda-init"].judge(replace(cuda(100), environment={"CUDA_VISIBLE_DEVICES": "7"}))
    assert "CUDA_VISIBLE_DEVICES=7" in finding.evidence
    assert any(NODES) and finding.cause == "cuda-devices-masked"


def test_a_device_count_of_cuda_is_told_with_its_names() -> None:
    two = change(gpu_host(), "cuda", device_count=2, devices=(CudaDevice(0, "A", "9.0"), CudaDevice(1, "B", "9.0")))
    finding = BY_ID["cuda-init"].judge(two)
    assert "2 GPUs" in finding.summary and any("B" in line for line in finding.evidence)
