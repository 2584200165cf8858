"""The GPUs of one request, looked up on this machine and its engine."""

from __future__ import annotations

from launcher import labels
from launcher.attach import HostGpu
from launcher.context import Context
from launcher.device import DeviceDecision, system_root
from launcher.errors import LauncherError, NotReadyError
from launcher.gpu_holders import holders
from launcher.gpu_selection import remarks
from launcher.gpus import devices_to_try, host_gpus, no_card_error
from launcher.plan import Device
from launcher.setup.perform import make_plan, perform
from launcher.spec import UpRequest


def present_gpus(context: Context) -> tuple[HostGpu, ...]:
    """What can be attached on the engine's host; raises NotReadyError as host_gpus does."""
    return host_gpus(context.engine.info(), system_root(context.environ))


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
        devices = devices_to_try(request.gpus, decision.reason, info, gpus, held, request.share)
    except NotReadyError as error:
        if error.cause_id != "container-no-gpu-runtime" or not context.consent or not info.local:
            raise
        _install_toolkit(context, error)
        devices = devices_to_try(request.gpus, decision.reason, context.engine.info(), gpus, held, request.share)
    for line in (*remarks(request.gpus, gpus, held, devices[0].gpus), *_masked(request)):
        context.progress.say(line)
    return devices


def _masked(request: UpRequest) -> list[str]:
    """The mask hides attached GPUs from every program inside, the proof included."""
    mask = dict(request.variables).get("CUDA_VISIBLE_DEVICES")
    return [] if mask is None else [f"-e CUDA_VISIBLE_DEVICES={mask} hides GPUs from all programs; --gpus chooses them"]


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
