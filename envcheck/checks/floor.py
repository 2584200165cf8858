"""Is the driver new enough? In layers: the wheel's CUDA, cuDNN on the card at hand, and what the image requires."""

from __future__ import annotations

from envcheck.checks.answer import fail, ok, skip, warn
from envcheck.checks.readings import cuda_works
from envcheck.compat import (
    Floor,
    assumed_cuda_major,
    cuda_version_text,
    cudnn_driver_floor,
    driver_floor,
    toolkit_driver,
    version_key,
)
from envcheck.facts import Facts
from envcheck.finding import Finding
from envcheck.presence import capabilities, driver_version, presence
from envcheck.requirement import DISABLE, RequirementError, requirements, unmet

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
        return _too_old(facts, summary, floor, origin)
    return _cudnn(facts, version) or _enough(facts, version, floor, [origin])


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
    text = cuda_version_text(supported)
    if supported // 1000 < major:
        floor = driver_floor(major)
        return _too_old(facts, f"the driver supports CUDA {text}, a wheel for CUDA {major} is used", floor, origin)
    enough = ok(CHECK, f"the driver supports CUDA {text}, enough for CUDA {major}", [origin])
    return _with_limits(facts, "the driver", [origin]) or enough


def _cudnn(facts: Facts, version: str) -> Finding | None:
    cudnn = facts.torch.cudnn if facts.torch is not None else None
    if cudnn is None and facts.container.image is not None:
        cudnn = facts.container.image.cudnn
    for name, capability in capabilities(facts) if cudnn is not None else ():
        floor = cudnn_driver_floor(cudnn or 0, capability)
        if floor is not None and version_key(version) < version_key(floor.driver):
            summary = f"driver {version} is older than {floor.driver}, the lowest cuDNN supports on {name}"
            return _too_old(facts, summary, floor, f"cuDNN {cudnn}, compute capability {capability}")
    return None


def _too_old(facts: Facts, summary: str, floor: Floor | None, origin: str) -> Finding:
    fix: tuple[str, ...] | None = None
    if facts.driver.wsl:
        fix = ("from Windows: update the NVIDIA driver, then: wsl --shutdown",)
    elif facts.container.inside:
        # The package manager in here is the image's.
        fix = ("on the host: install a newer NVIDIA driver", "or use an image with a PyTorch build for an older CUDA")
    return fail(CHECK, "driver-too-old", summary, [origin, f"published at {floor.source}" if floor else ""], fix)


def _enough(facts: Facts, version: str, floor: Floor | None, evidence: list[str]) -> Finding:
    if floor is not None:
        evidence = [f"{floor.driver} is the lowest for this CUDA major version: {floor.source}", *evidence]
    return _with_limits(facts, f"driver {version}", evidence) or ok(CHECK, f"driver {version} is new enough", evidence)


def _with_limits(facts: Facts, driver: str, evidence: list[str]) -> Finding | None:
    """A driver of an older minor version than the wheel's CUDA is no fault, but some things need a newer one."""
    built, supported = _built_for(facts), facts.cuda.driver_version or facts.nvml.cuda_version
    if built is None or supported is None or version_key(cuda_version_text(supported)) >= version_key(built):
        return None
    newer = toolkit_driver(built)
    needed = f"a driver for CUDA {built}{f' ({newer} or newer)' if newer else ''}"
    limit = f"PTX made by CUDA {built} (error 222) and newer calls of the driver (error 36) need {needed}"
    text = f"it knows CUDA {cuda_version_text(supported)}, PyTorch is built for {built}"
    return ok(CHECK, f"{driver} works, with limits: {text}", [*evidence, limit])


def _built_for(facts: Facts) -> str | None:
    """CUDA's major and minor version ("12.8") that PyTorch here is built for."""
    image = facts.container.image
    version = facts.torch.cuda if facts.torch is not None else None
    version = version or (image.torch_cuda if image is not None else None)
    return ".".join(version.split(".")[:2]) if version else None


def image_requirement(facts: Facts) -> Finding:
    """What it checks: in a container, the image's own requirement (NVIDIA_REQUIRE_CUDA) of card and driver.
    Why it matters: the Container Toolkit refuses to start an image whose requirement is not met, even where it works.
    How to fix: a newer driver, an image without that requirement, or -e NVIDIA_DISABLE_REQUIRE=1.
    Reference: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
    """
    check = "image-requirement"
    if not facts.container.inside or not presence(facts).expected:
        return skip(check, "no GPU is expected in a container here")
    wanted = requirements(facts.environment)
    if not wanted:
        disabled = DISABLE in facts.environment
        return skip(check, f"switched off by {DISABLE}" if disabled else "this image requires no driver")
    if not facts.nvml.driver_version:
        return skip(check, "NVML does not tell the driver's version")
    try:
        condition = unmet(facts.environment, facts.nvml)
    except RequirementError as error:
        return skip(check, str(error))
    supported = f"the driver is {facts.nvml.driver_version}, CUDA {cuda_version_text(facts.nvml.cuda_version or 0)}"
    if condition is None:
        return ok(check, "the image's requirement is met", [*wanted, supported])
    if cuda_works(facts):
        return ok(check, f"works, with limits: the image requires {condition}, {supported}", wanted)
    summary = f"the image requires {condition}, but {supported}"
    return warn(check, "container-requirement-unsatisfied", summary, wanted)
