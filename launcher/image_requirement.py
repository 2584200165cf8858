"""What an image itself requires of card and driver (NVIDIA_REQUIRE_CUDA), judged before a container is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envcheck.facts import Nvml
from envcheck.requirement import RequirementError, unmet
from launcher.context import Context
from launcher.device import system_root
from launcher.engine import ContainerPlan
from launcher.errors import NotReadyError
from launcher.gpus import host_nvml


def refuse_unmet_requirement(context: Context, plans: Sequence[ContainerPlan]) -> None:
    """Raises NotReadyError where the NVIDIA Container Toolkit would refuse to start `plans` (one image, best first)."""
    plan = plans[0]
    if plan.attachment is None or plan.attachment.kind == "cdi":
        return  # A CDI spec is applied by the engine, which knows no such requirement.
    image = context.engine.image(plan.image)
    if image is None:
        return
    nvml = host_nvml(context.engine.info(), system_root(context.environ))
    error = requirement_error({**image.environment, **plan.environment}, nvml)
    if error is not None:
        raise error


def requirement_error(environment: Mapping[str, str], nvml: Nvml) -> NotReadyError | None:
    """The refusal of a container with `environment` on the GPUs of `nvml`; None where nothing speaks against it."""
    try:
        condition = unmet(environment, nvml)
    except RequirementError:
        return None  # A word of a newer toolkit, which judges it itself.
    if condition is None:
        return None
    return NotReadyError(
        f"the image requires {condition}, which driver {nvml.driver_version} does not meet with this card",
        "Install a newer NVIDIA driver, or pass the check over with: -e NVIDIA_DISABLE_REQUIRE=1",
        cause_id="container-requirement-unsatisfied",
    )
