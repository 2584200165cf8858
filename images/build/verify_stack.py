"""Compare what was really installed with the stack's row; write it down for the image, or fail the build.

verify_stack.py STACKS_TOML NAME DIRECTORY writes stack.json (facts) and constraints.txt (pins that pip must keep).
"""

import json
import platform
import sys
import tomllib
from importlib import metadata
from pathlib import Path

NVIDIA_PREFIX = "nvidia-"
NVIDIA_SUFFIX = "-cu12"
PINNED = ("torch", "torchvision", "torchaudio", "triton")


def main() -> int:
    path, name, directory = sys.argv[1:]
    row = tomllib.loads(Path(path).read_text())["stacks"][name]
    found = installed(name)
    differences = [
        f"{key}: stacks.toml says {row[key]}, installed is {value}"
        for key, value in expected(found).items()
        if row[key] != value
    ]
    if differences:
        print("The image is not the stack it should be:", *differences, sep="\n  ", file=sys.stderr)
        return 1
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    found.pop("cudnn_package")
    (target / "stack.json").write_text(json.dumps({**found, "cuda": row["cuda"]}, indent=1) + "\n")
    (target / "constraints.txt").write_text("".join(f"{line}\n" for line in constraints()))
    return 0


def installed(name: str) -> dict[str, object]:
    """Facts from the interpreter, the packages' metadata and the libraries as they load."""
    import torch
    import torchvision

    flags = torch._C._cuda_getArchFlags().split()  # get_arch_list() is empty without a GPU
    return {
        "schema_version": 1,
        "stack": name,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "torchvision": metadata.version("torchvision"),
        "torchvision_nms": hasattr(torchvision.ops, "nms"),
        "torchaudio": metadata.version("torchaudio"),
        "cuda_runtime": metadata.version("nvidia-cuda-runtime-cu12"),
        "cudnn": torch.backends.cudnn.version(),
        "cudnn_package": metadata.version("nvidia-cudnn-cu12"),
        "nccl": ".".join(map(str, torch.cuda.nccl.version())),
        "triton": metadata.version("triton"),
        "compute_capabilities": [capability(flag) for flag in flags if flag.startswith("sm_")],
        "ptx": [capability(flag) for flag in flags if flag.startswith("compute_")],
    }


def expected(found: dict[str, object]) -> dict[str, object]:
    """The row as the installed packages would write it."""
    cudnn = str(found["cudnn_package"])
    major, minor, patch = (int(part) for part in cudnn.split(".")[:3])
    loaded = major * 10_000 + minor * 100 + patch
    return {
        "python": ".".join(str(found["python"]).split(".")[:2]),
        "torch": str(found["torch"]).split("+")[0],
        "torchvision": str(found["torchvision"]).split("+")[0],
        "torchaudio": str(found["torchaudio"]).split("+")[0],
        "triton": found["triton"],
        "cuda_runtime": found["cuda_runtime"],
        "cudnn": cudnn if loaded == found["cudnn"] else f"{cudnn} on disk but {found['cudnn']} loads",
        "nccl": found["nccl"],
        "compute_capabilities": found["compute_capabilities"],
        "ptx": found["ptx"],
    }


def capability(flag: str) -> str:
    """sm_90 -> 9.0, compute_120 -> 12.0."""
    number = flag.split("_")[1]
    return f"{number[:-1]}.{number[-1]}"


def constraints() -> list[str]:
    """Pins of what makes up the stack; everything else the user may replace."""
    names = sorted({distribution.metadata["Name"].lower() for distribution in metadata.distributions()})
    kept = [
        name for name in names if name in PINNED or (name.startswith(NVIDIA_PREFIX) and name.endswith(NVIDIA_SUFFIX))
    ]
    return [f"{name}=={metadata.version(name)}" for name in kept]


if __name__ == "__main__":
    sys.exit(main())
