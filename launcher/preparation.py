"""What `up`, `train` and a dry run do alike before anything is made: the device, the plans, the project, free GPUs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from launcher import places
from launcher.context import Context
from launcher.device import (
    SAID_VARIABLE,
    DeviceDecision,
    decide_device,
    decide_far_device,
    refuse_broken_driver,
    system_root,
)
from launcher.engine import ContainerPlan
from launcher.errors import GpuTakenError, NotReadyError
from launcher.gpu_choice import devices_for
from launcher.host import memory_bytes
from launcher.limits import limit_warnings, refuse_impossible_limits
from launcher.network import certificate_bundle
from launcher.plan import Device, ImageChoice, Machine, plan_container
from launcher.spec import UpRequest

Plans = list[tuple[ContainerPlan, Device]]
Result = TypeVar("Result")
# Each lost round means that somebody else got a GPU.
ATTEMPTS = 16


def examine_device(context: Context, request: UpRequest) -> DeviceDecision:
    """Say GPU or CPU and why; raises NotReadyError where a card is present but the host cannot use it."""
    from envcheck.probes.hardware import probe_hardware

    if not context.endpoint.local:
        return _examine_far_device(context, request)
    root = system_root(context.environ)
    hardware = probe_hardware(root)
    decision = decide_device(request.gpus.kind, hardware)
    if not context.environ.get(SAID_VARIABLE):
        context.progress.say(decision.line())
    if not request.skip_check:
        refuse_broken_driver(decision, hardware, root)
    return decision


def _examine_far_device(context: Context, request: UpRequest) -> DeviceDecision:
    info, remote = context.engine.info(), context.remote
    offered = "nvidia" in info.runtimes or bool(info.cdi_devices)
    card = remote.far.card if remote else None
    decision = decide_far_device(request.gpus.kind, context.endpoint.place, card, offered)
    context.progress.say(decision.line())
    return decision


def make_plans(context: Context, request: UpRequest, decision: DeviceDecision, image: ImageChoice) -> Plans:
    """The containers that would do, best first: one for each way to attach the GPUs."""
    engine = context.engine
    info = engine.info()
    caller, why = places.caller(context, request, info)
    if why:
        context.progress.say(why)
    devices = devices_for(context, request, decision)
    machine = Machine(
        owner=context.owner,
        memory_bytes=info.memory_bytes or memory_bytes(),
        processors=info.processors or os.cpu_count() or 1,
        # This machine's proxies may mean nothing to another.
        environ=context.environ if context.endpoint.local else {},
        certificates=certificate_bundle(context.environ) is not None,
    )
    refuse_impossible_limits(request, machine.processors)
    for line in limit_warnings(request, machine.memory_bytes, info.unlimited):
        context.progress.say(line)
    devices = devices_for(context, request, decision)
    return [(plan_container(request, image, caller, machine, device, request.port or 0), device) for device in devices]


def prepare_project(context: Context, project: Path) -> None:
    """Make `workspace/` in the launcher's own checkout, in the name of the checkout's owner."""
    if project.exists():
        if os.getuid() != 0 and not os.access(project, os.W_OK):
            context.progress.say(f"{project} is read-only for you, and so is /workspace: nothing can be saved there")
        return
    try:
        project.mkdir()
        if os.getuid() == 0:
            owner = project.parent.stat()
            os.chown(project, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise NotReadyError(
            f"cannot make {project}: {error.strerror}", "Give another directory: --project DIR"
        ) from None
    context.progress.say(f"Your files are in {project} (made, ignored by git)")


def on_free_gpus(choose: Callable[[], Plans], start: Callable[[Plans], Result], plans: Plans) -> Result:
    """Start `plans`; where others were quicker to take their GPUs, choose again among those still free.

    Raises GpuTakenError, naming the holders, when too few are left.
    """
    for _ in range(ATTEMPTS):
        try:
            return start(plans)
        except GpuTakenError:
            plans = choose()
    return start(plans)
