"""Rules of the PyTorch wheel, torchvision, and the architectures they hold code for."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.envcheck.machines import cpu_host, gpu_host, inside, torch
from tests.unit.envcheck.rules.cases import Rule, crashed, cuda, vision, with_torch

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
]
