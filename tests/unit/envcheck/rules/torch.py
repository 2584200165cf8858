"""Rules of the PyTorch wheel, torchvision, and the architectures they hold code for."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import Crash, Extension, Facts, Torchvision
from tests.unit.envcheck.healthy import several
from tests.unit.envcheck.machines import change, cpu_host, gpu_host, inside, torch
from tests.unit.envcheck.rules.cases import Rule, crashed, cuda, vision, with_torch

SYSTEM = {"LD_LIBRARY_PATH": "/c"}
NO_CODE = "arch-unsupported"
PAIR = "torchvision-mismatch"
PASCAL = several(gpu_host(), gpu_host(capability="6.1", name="GTX 1080"))


def extension(*machine_code: str, ptx: tuple[str, ...] = (), of: str = "a") -> Extension:
    return Extension(of, f"/usr/lib/python3/dist-packages/{of}/_C.so", machine_code, ptx)


def extended(*extensions: Extension) -> Facts:
    return with_torch(extensions=extensions)


def by_elf(*machine_code: str, ptx: tuple[str, ...] = ()) -> Facts:
    """A wheel that does not name its architectures."""
    return with_torch(architectures=(), extensions=(extension(*machine_code, ptx=ptx, of="torch"),))


def by_image(facts: Facts, ptx: tuple[str, ...] = ()) -> Facts:
    """Seen from a container of an image whose record names PTX."""
    container = inside(facts, "gpu").container
    assert container.image is not None
    return replace(facts, container=replace(container, image=replace(container.image, ptx=ptx)))


def sees_nothing(warning: str) -> Facts:
    return with_torch(cuda_available=False, cuda_warning=warning)


def cpu_vision() -> Torchvision | None:
    return replace(vision(cuda_version=-1).torch or torch()).torchvision


PTX_90 = extension(ptx=("compute_90",))

RULES: list[Rule] = [
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
    (
        "import aborts without a word, a cuDNN on the path",
        "torch-build",
        replace(crashed("import", version=None), environment=SYSTEM, shadowing=("/c/libcudnn_graph.so.9",)),
        "fail",
        "cudnn-shadowed",
    ),
    (
        "import aborts without a word, another library on the path",
        "torch-build",
        replace(crashed("import", version=None), environment=SYSTEM, shadowing=("/c/libcublas.so.12",)),
        "fail",
        None,
    ),
    (
        "import ends by another signal, a cuDNN on the path",
        "torch-build",
        replace(
            with_torch(version=None, crashes=(Crash("import", "SIGSEGV"),)),
            environment=SYSTEM,
            shadowing=("/c/libcudnn.so.9",),
        ),
        "fail",
        None,
    ),
    (
        "a library of its packages is missing",
        "torch-build",
        with_torch(version=None, error="OSError: libcudnn.so.9: cannot open shared object file"),
        "fail",
        None,
    ),
    (
        "a library is missing, path set",
        "torch-build",
        replace(with_torch(version=None, error="OSError: x.so: cannot open shared object file"), environment=SYSTEM),
        "fail",
        "library-shadowed",
    ),
    ("AMD", "torch-build", with_torch(cuda=None, version="2.8.0+rocm6.4"), "skip", None),
    ("not looked at", "torch-build", gpu_host(torch=None), "skip", None),
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
    ("another torch, its operators run", "torchvision-pair", vision(requires_torch="2.7.1"), "warn", PAIR),
    ("another torch", "torchvision-pair", vision(requires_torch="2.7.1", nms=None), "fail", PAIR),
    ("another torch, wrong boxes", "torchvision-pair", vision(requires_torch="2.7.1", nms=(0, 1)), "fail", PAIR),
    ("another build of this torch", "torchvision-pair", vision(requires_torch="2.8.0a0+git1"), "ok", None),
    ("only a later release", "torchvision-pair", vision(requires_torch="2.8.1", nms=None), "fail", PAIR),
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
    ("6.1 beside 8.9", "torch-architectures", PASCAL, "warn", NO_CODE),
    (
        "6.1 and 6.0",
        "torch-architectures",
        several(*[gpu_host(capability=capability) for capability in ("6.1", "6.0")]),
        "fail",
        NO_CODE,
    ),
    ("AMD, from source", "torch-build", with_torch(cuda=None, version="2.9.0a0+git1", hip="6.4"), "skip", None),
    ("does not start", "torch-build", crashed("start", "cudnn", version=None), "fail", None),
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
    ("by its libraries", "torch-architectures", by_elf("sm_80", "sm_90"), "ok", None),
    ("by its libraries, not for the card", "torch-architectures", by_elf("sm_90"), "fail", "arch-unsupported"),
    ("by its libraries' PTX", "torch-architectures", by_elf("sm_70", ptx=("compute_80",)), "ok", None),
    (
        "by the image's PTX",
        "torch-architectures",
        by_image(gpu_host(capability="13.0", torch=None), ("12.0",)),
        "ok",
        None,
    ),
    ("the image has no PTX", "torch-architectures", by_image(gpu_host(capability="13.0", torch=None)), "fail", NO_CODE),
    # ---- packages beside PyTorch
    ("none", "torch-extensions", gpu_host(), "skip", None),
    ("not looked at", "torch-extensions", gpu_host(torch=None), "skip", None),
    ("no card", "torch-extensions", cpu_host(torch=torch(extensions=(extension("sm_90"),))), "skip", None),
    ("torch's own are judged elsewhere", "torch-extensions", by_elf("sm_90"), "skip", None),
    ("fits", "torch-extensions", extended(extension("sm_80", "sm_90")), "ok", None),
    ("for another card", "torch-extensions", extended(extension("sm_90a")), "warn", NO_CODE),
    (
        "one of two packages",
        "torch-extensions",
        extended(extension("sm_80"), extension("sm_90", of="b")),
        "warn",
        NO_CODE,
    ),
    ("one library for each card", "torch-extensions", extended(extension("sm_80"), extension("sm_90")), "ok", None),
    ("PTX for older cards", "torch-extensions", extended(extension("sm_70", ptx=("compute_70",))), "ok", None),
    ("PTX for newer cards", "torch-extensions", extended(extension("sm_90", ptx=("compute_90",))), "warn", NO_CODE),
    (
        "PTX that the driver may not compile",
        "torch-extensions",
        change(extended(extension(ptx=("compute_70",))), "cuda", driver_version=12000),
        "warn",
        "ptx-unsupported-toolchain",
    ),
    (
        "machine code beside PTX under an older driver",
        "torch-extensions",
        change(extended(extension("sm_80", ptx=("compute_70",))), "cuda", driver_version=12000),
        "ok",
        None,
    ),
    ("asking crashed", "torch-cuda", crashed("cuda"), "fail", None),
    ("asking crashed, no card", "torch-cuda", cpu_host(torch=crashed("cuda").torch), "fail", None),
    ("no card", "torch-cuda", cpu_host(), "skip", None),
    ("no torch", "torch-cuda", with_torch(found=False), "skip", None),
    ("a CPU build", "torch-cuda", with_torch(cuda=None), "skip", None),
    ("no device at all", "torch-cuda", change(gpu_host(), "cuda", device_count=0), "skip", None),
    ("999", "torch-cuda", sees_nothing("CUDA unknown error - this may be due to"), "fail", "cuda-unknown-init"),
    ("3", "torch-cuda", sees_nothing("CUDA driver initialization failed, you might"), "fail", "cuda-unknown-init"),
    ("something else", "torch-cuda", sees_nothing("no idea"), "fail", None),
    ("no torch", "torch-compile", with_torch(found=False), "skip", None),
    ("no torch", "torchvision-nms", with_torch(version=None), "skip", None),
    ("not installed", "torchvision-nms", with_torch(torchvision=None), "skip", None),
    ("both for the CPU", "torchvision-pair", with_torch(cuda=None, torchvision=cpu_vision()), "ok", None),
    ("no CUDA version told", "torchvision-pair", vision(cuda_version=None), "ok", None),
    ("no pin", "torchvision-pair", vision(requires_torch=None), "ok", None),
    ("neither flags nor libraries", "torch-architectures", with_torch(architectures=()), "skip", None),
    (
        "by the image where torch does not import",
        "torch-architectures",
        inside(gpu_host(capability="6.0", torch=torch(version=None, architectures=())), "gpu"),
        "fail",
        NO_CODE,
    ),
    (
        "not by the image where torch imports",
        "torch-architectures",
        inside(gpu_host(capability="6.0", torch=torch(architectures=())), "gpu"),
        "skip",
        None,
    ),
    ("one PTX of two fits", "torch-extensions", extended(PTX_90, extension(ptx=("compute_70",))), "ok", None),
]
