"""Is the driver new enough? In layers: the wheel's CUDA, then cuDNN on the card at hand."""

from __future__ import annotations

from envcheck.checks.answer import fail, ok, skip
from envcheck.compat import Floor, assumed_cuda_major, cudnn_driver_floor, driver_floor, version_key
from envcheck.facts import Facts
from envcheck.finding import Finding
from envcheck.presence import capabilities, driver_version, presence

CHECK = "driver-floor"


def driver_is_new_enough(facts: Facts) -> Finding:
    """What it checks: the driver against the floor of the wheel's CUDA major version, and of cuDNN on this card.
    Why it matters: below the floor CUDA reports error 35; above it every minor version works, newer or older.
    How to fix: install a newer driver, or a PyTorch built for an older CUDA.
    Reference: https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
    """
    if not presence(facts).expected:
        return skip(CHECK, "no GPU is expected here")
    if facts.torch is not None and facts.torch.version and facts.torch.cuda is None:
        return skip(CHECK, "the PyTorch here is no CUDA build; see torch-build")
    major, origin = _cuda_major(facts)
    version = driver_version(facts)
    if facts.driver.wsl or version is None or _forward_compatible(facts):
        return _by_cuda_version(facts, major, origin)
    floor = driver_floor(major)
    if floor is not None and version_key(version) < version_key(floor.driver):
        summary = f"driver {version} is older than {floor.driver}, the lowest for CUDA {major}"
        return _too_old(summary, floor, origin)
    return _cudnn(facts, version) or _enough(version, floor, major, origin)


def _cuda_major(facts: Facts) -> tuple[int, str]:
    image = facts.container.image
    if facts.torch is not None and facts.torch.cuda:
        return version_key(facts.torch.cuda)[0], f"torch {facts.torch.version} is built for CUDA {facts.torch.cuda}"
    if image is not None and image.torch_cuda:
        return version_key(image.torch_cuda)[0], f"the image's torch is built for CUDA {image.torch_cuda}"
    major = assumed_cuda_major()
    return major, f"no PyTorch was looked at: a wheel built for CUDA {major} is assumed"


def _forward_compatible(facts: Facts) -> bool:
    """A compat libcuda that initialised replaces the driver's own version."""
    return facts.cuda.init_code == 0 and "/compat/" in (facts.cuda.path or "")


def _by_cuda_version(facts: Facts, major: int, origin: str) -> Finding:
    supported = facts.cuda.driver_version or facts.nvml.cuda_version
    if supported is None:
        return skip(CHECK, "the driver's version is not known")
    text = f"{supported // 1000}.{supported % 1000 // 10}"
    if supported // 1000 < major:
        floor = driver_floor(major)
        return _too_old(f"the driver supports CUDA {text}, a wheel for CUDA {major} is used", floor, origin)
    return ok(CHECK, f"the driver supports CUDA {text}, enough for CUDA {major}", [origin])


def _cudnn(facts: Facts, version: str) -> Finding | None:
    cudnn = facts.torch.cudnn if facts.torch is not None else None
    if cudnn is None and facts.container.image is not None:
        cudnn = facts.container.image.cudnn
    for name, capability in capabilities(facts) if cudnn is not None else ():
        floor = cudnn_driver_floor(cudnn or 0, capability)
        if floor is not None and version_key(version) < version_key(floor.driver):
            summary = f"driver {version} is older than {floor.driver}, the lowest cuDNN supports on {name}"
            return _too_old(summary, floor, f"cuDNN {cudnn}, compute capability {capability}")
    return None


def _too_old(summary: str, floor: Floor | None, origin: str) -> Finding:
    return fail(CHECK, "driver-too-old", summary, [origin, f"published at {floor.source}" if floor else ""])


def _enough(version: str, floor: Floor | None, major: int, origin: str) -> Finding:
    lowest = f"{floor.driver} is the lowest for CUDA {major}" if floor else f"no floor is known for CUDA {major}"
    return ok(CHECK, f"driver {version} is new enough", [lowest, origin])
