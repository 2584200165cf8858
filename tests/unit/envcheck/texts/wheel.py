"""What findings about PyTorch and its libraries say. Machines are invented."""

from __future__ import annotations

from dataclasses import replace

from envcheck.facts import AllReduce, Memory, Network
from tests.unit.envcheck.machines import GIB, gpu_host
from tests.unit.envcheck.rules.cases import crashed, vision, with_torch
from tests.unit.envcheck.rules.torch import extended, extension
from tests.unit.envcheck.texts.form import Text

PATH = {"LD_LIBRARY_PATH": "/opt/lib"}
IMPORT = replace(with_torch(version=None, error="ImportError: undefined symbol: __nvJitLink"), environment=PATH)
TORCH: list[Text] = [
    ("torch-build", with_torch(found=False, version=None, searched=("/a", "/b")), ("/a, /b",), ()),
    ("torch-build", IMPORT, ("__nvJitLink", "LD_LIBRARY_PATH=/opt/lib"), ()),
    ("torch-build", crashed("import", "1\n2\n3\n4\n5", version=None), ("2", "5"), ("1",)),
    ("torch-build", with_torch(version=None), ("no reason reported",), ()),
    (
        "torch-build",
        replace(crashed("import", version=None), environment=PATH, shadowing=("/opt/lib/libcudnn_ops.so.9",)),
        ("in LD_LIBRARY_PATH: /opt/lib/libcudnn_ops.so.9", "unset LD_LIBRARY_PATH"),
        (),
    ),
    ("torch-cuda", with_torch(found=False), ("not installed",), ()),
    ("torch-cuda", with_torch(version=None), ("does not import",), ()),
    ("torch-cuda", with_torch(cuda=None), ("no CUDA build",), ()),
    ("torch-cuda", gpu_host(), ("1 GPU",), ("GPUs",)),
    ("torch-cuda", with_torch(cuda_device_count=2), ("2 GPUs",), ()),
    ("torch-cuda", with_torch(cuda_available=False), ("without a warning",), ()),
    ("torch-compile", with_torch(c_compiler=None, python_header=None), ("no C compiler, no Python.h",), ("None",)),
    ("torch-compile", with_torch(c_compiler=None), ("C compiler: missing", "/usr/bin/g++"), ()),
    ("torchvision-pair", with_torch(torchvision=None), ("not installed",), ("crashed",)),
    ("torchvision-pair", crashed("torchvision", torchvision=None), ("crashed",), ("not installed",)),
    ("torchvision-pair", crashed("cudnn", torchvision=None), ("not installed",), ()),
    ("torchvision-pair", with_torch(found=False), ("PyTorch is not installed",), ()),
    ("torchvision-nms", with_torch(torchvision=None), ("not installed",), ()),
    ("torchvision-nms", vision(error="OSError: cannot load", nms=None), ("OSError", "/torchvision/_C.so"), ()),
    ("torchvision-nms", vision(nms=(1,)), ("kept (1,), not (0, 2)",), ()),
    (
        "torch-extensions",
        with_torch(extensions=(extension("sm_80"),), extensions_left_out=3),
        ("3 not",),
        (),
    ),
    ("torch-extensions", extended(extension("sm_80"), extension("sm_80", "sm_89")), ("a: sm_80 sm_89",), ("not read",)),
    ("torch-extensions", extended(extension("sm_90a", of="flash")), ("flash has no code for RTX 4090", "=8.9"), ()),
    ("torch-architectures", gpu_host(capability="6.0"), ("the wheel: sm_70", "6.0"), ()),
    ("torch-architectures", with_torch(architectures=()), ("no CUDA build",), ()),
]
LIBRARIES: list[Text] = [
    ("cudnn", gpu_host(), ("cuDNN 9.10.2", "91002"), ()),
    ("cudnn", with_torch(cudnn=None), ("built without cuDNN",), ()),
    ("cudnn", crashed("cudnn", "undefined symbol"), ("stage cudnn ended with SIGABRT", "do not belong"), ("on LD_L",)),
    ("cudnn", with_torch(found=False), ("not installed",), ()),
    ("nccl-version", with_torch(nccl=None, nccl_error="RuntimeError: x"), ("RuntimeError: x",), ()),
    ("nccl-version", with_torch(nccl=None), ("no version reported",), ()),
    ("nccl-version", with_torch(found=False), ("not installed",), ()),
    ("all-reduce", with_torch(found=False), ("not installed",), ()),
    ("all-reduce", gpu_host(), ("gloo: 2 ranks, nccl: 1 rank)", "sum 3.0, expected 3.0, 0.05 s"), ()),
    ("all-reduce", with_torch(all_reduces=(AllReduce("gloo", 2, 3.0, 3.0),)), ("0.00 s",), ()),
    ("all-reduce", with_torch(all_reduces=(AllReduce("nccl", 2, 2.0, 3.0),)), ("wrong sum", "sum 2.0, expected"), ()),
    ("shared-memory", gpu_host(memory=Memory(3 * GIB // 2, GIB // 2)), ("1.5 GiB", "512 MiB free"), ()),
    ("shared-memory", gpu_host(memory=Memory(GIB, None)), ("has 1.0 GiB", "0 MiB free"), ()),
    ("shared-memory", gpu_host(memory=Memory(64 << 20, 1 << 20)), ("only 64 MiB", "1 MiB free"), ()),
    ("shared-memory", gpu_host(memory=Memory()), ("no reason",), ()),
    ("shared-memory", gpu_host(memory=Memory(error="no such file")), ("no such file",), ()),
    ("locked-memory", gpu_host(memory=Memory(lockable=-1), network=Network((), ("mlx5_0",))), ("without limit",), ()),
    ("locked-memory", gpu_host(memory=Memory(lockable=GIB), network=Network((), ("mlx5_0",))), ("(1.0 GiB)",), ()),
    ("locked-memory", gpu_host(memory=Memory(lockable=8 << 20), network=Network((), ("mlx5_0",))), ("8 MiB",), ()),
]
TEXTS = [*TORCH, *LIBRARIES]
