"""The GPUs of one request, looked up on this machine and its engine."""

from __future__ import annotations

from launcher import labels
from launcher.context import Context
from launcher.device import DeviceDecision, system_root
from launcher.errors import LauncherError, NotReadyError
from launcher.gpu_holders import holders
from launcher.gpus import devices_to_try, host_gpus, no_card_error
from launcher.plan import Device
from launcher.setup.perform import make_plan, perform
from launcher.spec import UpRequest


def devices_for(context: Context, request: UpRequest, decision: DeviceDecision) -> tuple[Device, ...]:
    """One Device for each way that may work; installs the toolkit where it lacks and --yes was given.

    Raises NotReadyError, ConflictError or UsageError as devices_to_try does.
    """
    if not decision.gpu:
        return (Device(False, decision.reason),)
    info = context.engine.info()
    gpus = host_gpus(info, system_root(context.environ))
    if not gpus and info.local and not decision.card:
        raise no_card_error()
    name = labels.engine_name(context.owner, request.name)
    held = holders(context.engine.containers(labels.GPUS), but=name)
    try:
        return devices_to_try(request.gpus, decision.reason, info, gpus, held, request.share)
    except NotReadyError as error:
        if error.cause_id != "container-no-gpu-runtime" or not context.consent or not info.local:
            raise
        _install_toolkit(context, error)
    return devices_to_try(request.gpus, decision.reason, context.engine.info(), gpus, held, request.share)


def gpu_count(context: Context) -> int:
    """How many GPUs the engine's host has; 0 where nobody knows."""
    return len(host_gpus(context.engine.info(), system_root(context.environ)))


def _install_toolkit(context: Context, missing: NotReadyError) -> None:
    """What `launcher setup` does, with the consent of --yes; raises `missing` where that cannot be done."""
    plan = make_plan(context.environ)
    if plan.blocked or not plan.steps:
        raise missing
    try:
        with context.progress.phase("set-up"):
            perform(plan, context.progress, context.environ)
    except LauncherError as error:
        raise NotReadyError(
            f"{missing.cause}; installing it failed: {error.cause}", error.next_step, cause_id=missing.cause_id
        ) from error
